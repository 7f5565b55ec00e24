"""Commands to call by hand, one file each."""
