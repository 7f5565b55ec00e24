"""What others read of a finished study: an RO-Crate of its run, Croissant and a card of its data.

They are written from files that a record holds, by `make crate`.
"""
