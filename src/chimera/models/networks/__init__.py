"""The networks, one file each with settings and module.

The attribute `Settings` of a network's class is the record that its constructor takes.
"""
