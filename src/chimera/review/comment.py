"""The comment on a pull request in Markdown: one screen, with details to unfold."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from chimera.governance.logbook import entries
from chimera.review.changes import THRESHOLD, chance, gates, metric_changes, strongest
from chimera.review.leaves import differing
from chimera.review.markdown import code_span, escaped
from chimera.review.revisions import LOGS, METRIC_FILES, Revision

MOST_CHARACTERS = 65_536  # of a comment on GitHub
ROWS = (150, 40, 10, 0)  # of each list; the first with which the comment fits


def comment(base: Revision, head: Revision, site: str = "", claims: Sequence[str] = ()) -> str:
    """Return the comment on `head`, compared with `base`.

    Figures are linked if `site`, the repository's https://<host>/<owner>/<name>, is given; `claims`
    are sentences about what README.md and docs/ of `head` say and its studies do not.
    """
    environment = Environment(trim_blocks=True, lstrip_blocks=True, finalize=escaped)  # noqa: S701
    environment.filters |= {"code": code_span, "strongest": strongest}
    template = environment.from_string(Path(__file__).with_name("comment.md").read_text())
    changes = {file: metric_changes(base, head, file) for file in METRIC_FILES}
    logged = {log: entries(head.logs[log])[len(entries(base.logs[log])) :] for log in LOGS}
    seeded = [c for rows in changes.values() for c in rows if c.sd is not None]
    words = {k: v for k, v in differing(base.words, head.words).items() if k in head.words}
    verdicts = {k: now for k, (was, now) in words.items() if k.endswith(".verdict") and not was}
    new = {key.removesuffix("verdict"): verdict for key, verdict in verdicts.items()}
    shown = dict[str, Any](
        base=base,
        head=head,
        plan=head.plan or base.plan,
        summary={change.name: change for change in changes["summary"]},
        words={k: v for k, v in words.items() if not k.startswith(tuple(new))},
        new=new,
        stats=[side.metrics.get("stats", {}) | side.words for side in (base, head)],
        nan=math.nan,
        gates=gates(head),
        gates_before={name: passed for name, passed, _ in gates(base)},
        params=differing(base.params, head.params),
        rooms=Counter(path.split("/")[2] for path in sorted(differing(base.code, head.code))),
        seeded=seeded,
        chance=chance((base.replicates, head.replicates)),
        threshold=THRESHOLD,
        changes=changes,
        entries=logged,
        figures=differing(base.figures, head.figures),
        site=site,
        claims=claims,
    )
    for rows in ROWS:
        text = template.render(shown, rows=rows)
        if len(text) <= MOST_CHARACTERS:
            return text
    return text[:MOST_CHARACTERS]
