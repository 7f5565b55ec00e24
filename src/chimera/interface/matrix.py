"""The keys of a stage's cell in its matrix of dvc.yaml."""

from argparse import ArgumentParser, Namespace


def read_keys(**kinds: type) -> Namespace:
    """Return the keys, by name, that the command line gives as `--<name> <value>`."""
    parser = ArgumentParser()
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    return parser.parse_args()
