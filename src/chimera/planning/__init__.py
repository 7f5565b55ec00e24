"""Composition of parameters, and the cost of a study before it runs."""
