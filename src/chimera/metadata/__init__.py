"""What other tools read of a finished study: an RO-Crate of its run, Croissant of its data.

Both are written from files that a record holds, by `make crate`.
"""
