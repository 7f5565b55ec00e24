"""Print the effect of a pull request on the experiment, as one Markdown comment.

Compares the head with its merge base, both as committed. Figures are shown if GITHUB_SERVER_URL
and GITHUB_REPOSITORY are set, as in GitHub Actions.
"""

import argparse
import os

from chimera.interface.errors import guarded
from chimera.review.claims import wrong_claims
from chimera.review.comment import comment
from chimera.review.revisions import merge_base, read_revision


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="review", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default="main", help="revision to compare with")
    parser.add_argument("--head", default="HEAD", help="revision that is proposed")
    options = parser.parse_args()
    base = read_revision(options.base, merge_base(options.base, options.head))
    server, repository = (os.environ.get(f"GITHUB_{n}") for n in ("SERVER_URL", "REPOSITORY"))
    site = f"{server}/{repository}" if server and repository else ""
    head = read_revision(options.head)
    print(comment(base, head, site, wrong_claims(head.commit)))  # noqa: T201


if __name__ == "__main__":
    guarded(main)
