"""Networks from settings or checkpoints, on their device, as time steppers."""
