"""Composition of parameters, and cost of a study before it runs."""
