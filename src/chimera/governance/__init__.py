"""What was fixed before the numbers, and the logs that are only appended to."""
