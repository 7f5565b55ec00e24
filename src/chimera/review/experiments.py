"""Experiments at a glance: what `dvc exp show` lists, in at most twelve columns."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from math import inf, isfinite
from typing import Any, NamedTuple

from dvc.repo.experiments.serialize import ExpExecutor, ExpState, SerializableExp

from chimera.interface.errors import InputError
from chimera.review.leaves import differing, flatten
from chimera.review.markdown import code_span
from chimera.study.labels import model_label

HEADLINE = "metrics/headline.json"
MOST_COLUMNS = 12
KEYS = {"IND": "ind.nrmse", "OOD": "ood.nrmse", "gap": "gap"}
_TEXTS = ("experiment", "changed", "verdict", "standing")
_SHOWN = 3  # changes of one experiment
_VALUE = 24  # characters of one changed value
_LEAST = 20  # characters for name and changes
_GAP = "  "


class Experiment(NamedTuple):
    """One row: `errors` by `<model>.<key>` and `verdicts` by model, without any where it has none.

    `standing` is that of the study, or why there are no numbers: `queued`, `running`, `failed`,
    `no results`, `unreadable`.
    """

    name: str
    changed: tuple[str, ...]
    baseline: str
    models: tuple[str, ...]
    errors: dict[str, float]
    verdicts: dict[str, str]
    standing: str

    @property
    def rank(self) -> float:
        """OOD error of the first model beside the baseline; infinity where it is unknown."""
        compared = next((m for m in self.models if m != self.baseline), self.baseline)
        return self.errors.get(f"{compared}.{KEYS['OOD']}", inf)


def experiments_of(states: Sequence[ExpState]) -> list[Experiment]:
    """Return each commit and after it its experiments, the least OOD error first.

    The workspace belongs to the first commit, and is left out where it is one of the others. No
    commit is an InputError.
    """
    commits = [state for state in states if state.rev != "workspace"]
    if not commits:
        raise InputError("`dvc exp show` lists no commit, expected at least one: commit first")
    found = []
    for commit in commits:
        base = _row(commit, None, commit.data)
        runs = [run for run in commit.experiments or () if run.revs]
        rows = [_row(run.revs[0], run.executor, commit.data) for run in runs]
        for state in states:
            if state.rev == "workspace" and commit is commits[0]:
                here = _row(state, None, commit.data)
                known = {(row.changed, *row.errors.values()) for row in (base, *rows)}
                rows += [] if (here.changed, *here.errors.values()) in known else [here]
        found += [base, *sorted(_rarest_first(rows), key=lambda row: row.rank)]
    return found


def _rarest_first(rows: Sequence[Experiment]) -> Iterator[Experiment]:
    """Yield rows with their scale first and then the changes that the fewest of them have."""
    among = Counter(change for row in rows for change in row.changed)
    for row in rows:
        order = sorted(row.changed, key=lambda c: (not c.startswith("scale.name="), among[c]))
        yield row._replace(changed=tuple(order))


def file_leaves(files: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the leaves of one file of parameters or metrics by dotted key, none without it."""
    content = files.get(name, {}).get("data")
    return flatten(content) if isinstance(content, dict) else {}


def _row(state: ExpState, executor: ExpExecutor | None, base: SerializableExp | None) -> Experiment:
    record = state.data or SerializableExp(state.rev)
    params = file_leaves(record.params, "params.yaml")
    found = file_leaves(record.metrics, HEADLINE)
    if executor and executor.state != "success":
        standing, found = executor.state, {}  # a queued commit holds its parent's
    elif state.data is None or record.metrics.get(HEADLINE, {}).get("error"):
        standing = "unreadable"
    else:
        standing = str(found.get("standing", "no results"))
    models = tuple(map(str, params.get("model_names") or ()))
    keys = [f"{model}.{key}" for model in models for key in KEYS.values()]
    return Experiment(
        name=state.name or (state.rev if state.rev == "workspace" else state.rev[:7]),
        changed=tuple(_changes(record, base)) if state.data and base else (),
        baseline=str(params.get("baseline", "")),
        models=models,
        errors={k: n for k in keys if isinstance(n := found.get(k), int | float) and isfinite(n)},
        verdicts={m: str(found[f"{m}.verdict"]) for m in models if f"{m}.verdict" in found},
        standing=standing,
    )


def _changes(record: SerializableExp, base: SerializableExp) -> Iterator[str]:
    """Yield what differs from the commit: parameters in its order, then source files."""
    before, now = (file_leaves(side.params, "params.yaml") for side in (base, record))
    for key in differing(now, before):
        value = now.get(key)
        if not isinstance(value, str):
            value = json.dumps(value, separators=(",", ":"), default=str)
        yield f"{key}={_cut(value, _VALUE)}" if key in now else f"{key} removed"
    written = {*record.outs, *record.metrics, "params.yaml"}
    for path, dependency in record.deps.items():
        hashes = {dependency.hash, base.deps.get(path, dependency).hash} - {None}
        if len(hashes) > 1 and not any(f"{out}/".startswith(f"{path}/") for out in written):
            yield path


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _texts(row: Experiment) -> list[str]:
    """Return the cells that are words: name, changes, verdict and standing."""
    more = len(row.changed) - _SHOWN
    changed = [*row.changed[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    said = [row.verdicts[model] for model in row.models if model in row.verdicts]
    return [row.name, ", ".join(changed), ", ".join(said), row.standing]


def _layouts(rows: Sequence[Experiment]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield models and what is told of each, from all to the least, within the columns."""
    models = list(dict.fromkeys(model for row in rows for model in row.models))
    models.sort(key=lambda model: model not in {row.baseline for row in rows})
    for measures in (["IND", "OOD", "gap"], ["IND", "OOD"], ["OOD"]):
        if len(_TEXTS) + len(models) * len(measures) <= MOST_COLUMNS:
            yield models, measures
    for number in range(min(len(models), MOST_COLUMNS - len(_TEXTS)), -1, -1):
        yield models[:number], ["OOD"]


def _cells(row: Experiment, models: Sequence[str], measures: Sequence[str]) -> list[str]:
    """Return the errors of one row, with three digits."""
    found = [row.errors.get(f"{m}.{KEYS[measure]}") for m in models for measure in measures]
    return ["" if value is None else f"{value:#.3g}".rstrip(".") for value in found]


def _left_out(rows: Sequence[Experiment], models: list[str], measures: list[str]) -> list[str]:
    """Return the sentence about what a table does not show."""
    missing = list(dict.fromkeys(m for row in rows for m in row.models if m not in models))
    words = [word for word in KEYS if word not in measures] + [model_label(m) for m in missing]
    return [f"Left out for want of room: {', '.join(words)}."] if words else []


def markdown_table(rows: Sequence[Experiment]) -> str:
    """Return the table for a pull request."""
    models, measures = next(_layouts(rows))
    titles = [code_span(f"{model_label(m)} {measure}") for m in models for measure in measures]
    lines = [
        "| " + " | ".join([*_TEXTS[:2], *titles, *_TEXTS[2:]]) + " |",
        "|" + "---|" * 2 + "--:|" * len(titles) + "---|" * 2,
    ]
    for row in rows:
        texts = [code_span(text) if text else "" for text in _texts(row)]
        cells = [*texts[:2], *_cells(row, models, measures), *texts[2:]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *(f"\n{line}" for line in _left_out(rows, models, measures))])


def terminal_table(rows: Sequence[Experiment], width: int) -> str:
    """Return the table for a terminal of so many columns; names and changes are wrapped."""
    texts = [_TEXTS, *map(_texts, rows)]
    longest = [max(map(len, column)) for column in zip(*texts, strict=True)]
    # The verdicts of several models stand under each other.
    verdict = max(len(word) for row in texts for word in row[2].split())
    for models, measures in _layouts(rows):
        blocks = [_block(rows, model, measures) for model in models]
        taken = [verdict, longest[3], *(len(block[0]) for block in blocks)]
        room = width - sum(taken) - len(_GAP) * (len(models) + 3)
        if room >= _LEAST:
            break
    name = min(longest[0], max(room // 3, len(_TEXTS[0])))
    changed = max(min(longest[1], room - name), len(_TEXTS[1]))
    lines = []
    for words, *numbers in zip([[""] * 4, *texts], *blocks, strict=True):
        wrapped = list(map(_wrap, words, (name, changed, verdict, longest[3])))
        columns = [*wrapped[:2], *([number] for number in numbers), *wrapped[2:]]
        sizes = [len(column[0]) for column in columns]
        parts = zip_longest(*columns, fillvalue="")
        lines += [_GAP.join(map(str.ljust, part, sizes)).rstrip() for part in parts]
    return "\n".join([*lines, *_left_out(rows, models, measures)])


def _block(rows: Sequence[Experiment], model: str, measures: Sequence[str]) -> list[str]:
    """Return a model's label, its titles and its errors of every row, lines of one width."""
    cells = [measures, *(_cells(row, [model], measures) for row in rows)]
    sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_GAP.join(map(str.rjust, row, sizes)) for row in cells]
    width = max(len(lines[0]), min(len(model_label(model)), 12))
    return [_cut(model_label(model), width).center(width), *(line.rjust(width) for line in lines)]


def _wrap(text: str, width: int) -> list[str]:
    """Return the lines of a cell; a word is broken only where it alone is longer than a line."""
    lines = textwrap.wrap(text, width, break_long_words=False) or [""]
    return [part.ljust(width) for line in lines for part in textwrap.wrap(line, width) or [""]]
