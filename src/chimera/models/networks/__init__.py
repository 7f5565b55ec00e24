"""The networks, one file each with settings and module; `Settings` is what a constructor takes."""
