"""One self-contained HTML page: the template filled in, with styles and pictures inside.

Nothing is loaded from anywhere, which the page's own content security policy enforces.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}


def render(content: Mapping[str, Any]) -> str:
    """Return the page as HTML; equal content gives equal bytes.

    Args:
        content: The names that templates/report.html reads; text is escaped there.

    Raises:
        jinja2.UndefinedError: If a name is absent.
    """
    environment = Environment(
        loader=PackageLoader("chimera.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(content)


def data_uri(picture: bytes, suffix: str) -> str:
    """Return a picture as an address that holds it.

    >>> data_uri(b"<svg/>", "svg")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    return f"data:{MEDIA_TYPES[suffix]};base64,{b64encode(picture).decode()}"


def git_object(content: bytes) -> str:
    """Return the name that git gives to a file of this content.

    `git log --find-object=<name>` finds the commits that hold it. HEAD's own hash in the page would
    change the page with every commit, and so make a new commit.

    >>> git_object(b"")  # git hash-object /dev/null
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
