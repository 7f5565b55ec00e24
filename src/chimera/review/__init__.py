"""What a pull request does to the experiment, read from two revisions in git."""
