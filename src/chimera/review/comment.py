"""The comment on a pull request in Markdown: one screen, with details to unfold."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment

from chimera.governance.logbook import entries
from chimera.review.changes import THRESHOLD, Change, chance, gates, metric_changes, strongest
from chimera.review.leaves import differing
from chimera.review.markdown import code_span, escaped
from chimera.review.revisions import LOGS, METRIC_FILES, Revision

_ROWS = 150  # limit of one table: a comment has at most 65,536 characters


def comment(base: Revision, head: Revision, site: str | None = None) -> str:
    """Return the comment on `head`, compared with `base`.

    Figures are linked if `site`, the repository's https://<host>/<owner>/<name>, is given.
    """
    environment = Environment(trim_blocks=True, lstrip_blocks=True, finalize=escaped)  # noqa: S701
    environment.filters |= {"code": code_span, "strongest": strongest}
    template = environment.from_string(Path(__file__).with_name("comment.md").read_text())
    changes = {file: metric_changes(base, head, file) for file in METRIC_FILES}
    plan = head.plan or base.plan
    figures = differing(base.figures, head.figures)
    rooms = Counter(path.split("/")[2] for path in sorted(differing(base.code, head.code)))
    logs = {log: (entries(base.logs[log]), entries(head.logs[log])) for log in LOGS}
    seeded = [c for rows in changes.values() for c in rows if c.sd is not None]
    return template.render(
        base=base,
        head=head,
        headline=_headline(changes["summary"]),
        words={k: v for k, v in differing(base.words, head.words).items() if k in head.words},
        contrasts={
            name: change
            for change in changes["stats"]
            if plan and change.name.endswith(f".{plan.primary}.estimate")
            for name in [change.name.removesuffix(".estimate")]
        },
        stats=[side.metrics.get("stats", {}) | side.words for side in (base, head)],
        nan=math.nan,
        gates=gates(head),
        gates_before={name: passed for name, passed, _ in gates(base)},
        params=differing(base.params, head.params),
        rooms=rooms,
        seeded=seeded,
        marked=[c for c in seeded if c.marked],
        chance=chance((base.replicates, head.replicates)),
        threshold=THRESHOLD,
        changes=changes,
        rows=_ROWS,
        entries={
            log: [entry["title"] for entry in new[len(old) :]] for log, (old, new) in logs.items()
        },
        figures=[(path, *figures[path]) for path in sorted(figures)],
        site=site,
    )


def _headline(changes: Sequence[Change]) -> dict[str, list[Change | None]]:
    """Return IND error, OOD error and gap of every forecaster."""
    found = {change.name: change for change in changes}
    wanted = ("ind.nrmse", "ood.nrmse", "gap")
    names = [n.removesuffix(".ind.nrmse") for n in found if n.endswith(".ind.nrmse")]
    return {name: [found.get(f"{name}.{key}") for key in wanted] for name in names}
