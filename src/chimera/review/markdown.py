"""Values in Markdown that cannot break out of a table."""

import html
import json
import re
from typing import Any

from markupsafe import Markup


def code_span(value: Any) -> Markup:
    r"""Return any value as a code span that is safe in a table.

    >>> code_span("a|b `c`"), code_span([0, 1])
    (Markup("`a\\|b 'c'`"), Markup('`[0, 1]`'))
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return Markup("`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`")  # noqa: S704


def escaped(value: Any) -> Any:
    r"""Return text as itself in Markdown, and anything else, such as a `Markup`, as it is.

    >>> escaped("<b> a|b [c](d) `e`")
    '&lt;b&gt; a\\|b [c\\](d) \\`e\\`'
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return re.sub(r"[|`*]|\](?=\()", r"\\\g<0>", html.escape(" ".join(value.split()), quote=False))
