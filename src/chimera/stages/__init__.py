"""The stages of dvc.yaml, one module each, of the same name.

A stage reads its coordinates in the matrix from the command line and everything else from
params.yaml, calls the rooms below with plain arguments, and writes its outputs.
"""
