"""The comment on a pull request in Markdown: one screen, with details to unfold."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from chimera.governance.logbook import entries
from chimera.review.changes import THRESHOLD, Change, chance, gates, metric_changes, strongest
from chimera.review.markdown import code_span, escaped
from chimera.review.revisions import LOGS, METRIC_FILES, Revision

_ROWS = 150  # limit of one table: a comment has at most 65,536 characters
_ABSENT = object()


def comment(base: Revision, head: Revision, site: str | None = None) -> str:
    """Return the comment on `head`, compared with `base`.

    Figures are linked if `site`, the repository's https://<host>/<owner>/<name>, is given.
    """
    environment = Environment(trim_blocks=True, lstrip_blocks=True, finalize=escaped)  # noqa: S701
    filters = (_number, _deviations, _cell)
    environment.filters |= {function.__name__[1:]: function for function in filters}
    environment.filters |= {"code": code_span, "strongest": strongest}
    template = environment.from_string(Path(__file__).with_name("comment.md").read_text())
    changes = {file: metric_changes(base, head, file) for file in METRIC_FILES}
    figures = _differing(base.figures, head.figures)
    rooms = Counter(path.split("/")[2] for path in sorted(_differing(base.code, head.code)))
    logs = {log: (entries(base.logs[log]), entries(head.logs[log])) for log in LOGS}
    seeded = [c for rows in changes.values() for c in rows if c.sd is not None]
    return template.render(
        base=base,
        head=head,
        headline=_headline(changes["summary"]),
        words={k: v for k, v in _differing(base.words, head.words).items() if k in head.words},
        contrasts=_primary(changes["stats"], base, head),
        gates=gates(head),
        gates_before={name: passed for name, passed, _ in gates(base)},
        params=_differing(base.params, head.params),
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


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return both values of every key that has not the same at both revisions, None if absent."""
    return {
        key: (before.get(key), after.get(key))
        for key in {**after, **before}
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    }


def _headline(changes: Sequence[Change]) -> dict[str, list[Change | None]]:
    """Return IND error, OOD error and gap of every forecaster."""
    found = {change.name: change for change in changes}
    wanted = ("ind.nrmse", "ood.nrmse", "gap")
    names = [n.removesuffix(".ind.nrmse") for n in found if n.endswith(".ind.nrmse")]
    return {name: [found.get(f"{name}.{key}") for key in wanted] for name in names}


def _primary(
    changes: Sequence[Change], base: Revision, head: Revision
) -> list[tuple[str, Change, list[str]]]:
    """Return the primary contrasts: name, estimate, and what was found at both revisions."""
    plan = head.plan or base.plan
    found = []
    for change in changes:
        name, _, leaf = change.name.rpartition(".")
        if plan and leaf == "estimate" and name.split(".")[-1] == plan.primary:
            found.append((name, change, [_outcome(revision, name) for revision in (base, head)]))
    return found


def _outcome(revision: Revision, name: str) -> str:
    """Return estimate, intervals and p of one contrast, the verdict, and the replicates to come."""
    row: Mapping[str, Any] = revision.metrics.get("stats", {}) | revision.words
    if f"{name}.estimate" not in row:
        return "absent"
    low, high, p = (row.get(f"{name}.{key}", math.nan) for key in ("ci_low", "ci_high", "p"))
    text = f"{row[f'{name}.estimate']:+.3f} [{low:+.3f}, {high:+.3f}], p {p:.2g}"
    ends = [row.get(f"{name}.{key}") for key in ("cs_low", "cs_high")]
    if all(isinstance(end, float) for end in ends):
        text += f", sequence [{ends[0]:+.3f}, {ends[1]:+.3f}]"
    model = name.rpartition(".")[0]
    if verdict := row.get(f"{model}.verdict"):
        text = f"{verdict}; {text}; margin {row.get('margin', math.nan):.3g}"
    if further := row.get(f"{model}.further"):
        text += f", about {math.ceil(further)} more replicates"
    return text


def _number(value: Any) -> str:
    """Return a number with four digits, or `absent`."""
    return "absent" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _deviations(change: Change) -> Markup:
    """Return the size of a change, bold beyond the threshold."""
    return Markup(f"**{change.size}**" if change.marked else change.size)  # noqa: S704


def _cell(change: Change | None) -> str:
    """Return one cell of the first table."""
    if change is None:
        return ""
    if not change.differs:
        return _number(change.after)
    both = f"{_number(change.before)} → {_number(change.after)}"
    return Markup(f"{both} ({_deviations(change)})")  # noqa: S704
