"""The stages of dvc.yaml, one module each, of the same name.

A stage takes its matrix coordinates from the command line and everything else from params.yaml,
calls the floors below with plain arguments, and writes its outputs.
"""
