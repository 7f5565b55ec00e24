"""The effect of a pull request on the experiment, read from two revisions in git."""
