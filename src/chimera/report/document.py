"""One self-contained HTML page: the template filled in, with styles and pictures inside.

The page loads nothing, and runs its own script alone, which its content security policy enforces.
"""

import math
from base64 import b64encode
from hashlib import sha1, sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

from chimera.governance.plan import deviations
from chimera.report.tables import plain
from chimera.report.verdict import p_value, percent
from chimera.study.axes import axis_name
from chimera.study.endpoints import by_model
from chimera.study.labels import axis_label, contrast_label, model_label
from chimera.study.tables import mean_and_spread

CALLABLE = (  # in templates, by their names
    *(axis_label, axis_name, by_model, contrast_label, deviations, math.exp),
    *(mean_and_spread, p_value, percent, plain),
)


def templates() -> Environment:
    """Return the environment of templates/, which refuses a name that has no value."""
    environment = Environment(
        loader=PackageLoader("chimera.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["model"] = model_label
    environment.globals |= {function.__name__: function for function in CALLABLE}
    environment.filters["sha256"] = lambda s: b64encode(sha256(s.encode()).digest()).decode()
    return environment


def data_uri(picture: bytes, suffix: str) -> str:
    """Return a picture, `svg`, `png` or `webp`, as a data URI."""
    kind = "svg+xml" if suffix == "svg" else suffix
    return f"data:image/{kind};base64,{b64encode(picture).decode()}"


def git_object(content: bytes) -> str:
    """Return git's object name of a file's content.

    `git log --find-object=<name>` finds the commits with it. The hash of HEAD itself would change
    the page with every commit.
    """
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
