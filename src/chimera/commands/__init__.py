"""What people call by hand, one file each."""
