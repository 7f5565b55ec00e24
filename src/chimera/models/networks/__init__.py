"""The networks, one file each: its settings and its module.

A network's class has an attribute `Settings`, the record that its constructor takes.
"""
