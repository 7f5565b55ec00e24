"""Values in Markdown that cannot break out of a table."""

import json
from typing import Any


def code_span(value: Any) -> str:
    r"""Return any value as a code span that is safe in a table.

    >>> code_span("a|b `c`"), code_span([0, 1])
    ("`a\\|b 'c'`", '`[0, 1]`')
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"
