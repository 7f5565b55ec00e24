"""An RO-Crate of a finished study and Croissant of its data, for other tools: `make crate`."""
