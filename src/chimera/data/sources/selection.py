"""Selection of the trajectories of user data for each dataset and split.

Trajectories are counted from 0 over all files in the order of their names. Each OOD axis takes
those that fulfil its conditions; IND takes the rest. IND keeps the splits of the source if it
declares all three; otherwise the split is drawn by data.fractions and data.seed. Beside generated
data, of which IND is, every dataset is an OOD axis.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from zlib import crc32

import numpy as np

from chimera.data.layout.recordings import Recording
from chimera.data.settings import SPLITS, ImportedData, Selection
from chimera.interface.errors import InputError

# A trajectory: number of the recording, number within it.
Member = tuple[int, int]

_COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CLAUSE = re.compile(rf"\s*([A-Za-z_][\w.-]*)\s*(<=|>=|==|!=|<|>)\s*({_NUMBER})\s*")


def read_condition(text: str, key: str) -> list[tuple[str, str, float]]:
    """Return the comparisons (scalar, operator, number) of a condition."""
    found = [_CLAUSE.fullmatch(part) for part in re.split(r"\band\b", text)]
    clauses = [clause.groups() for clause in found if clause]
    if len(clauses) < len(found):
        raise InputError(
            f"{key} is {text!r}, expected comparisons such as 'viscosity < 1e-3', joined by 'and'"
        )
    return [(name, sign, float(number)) for name, sign, number in clauses]


def select(
    recordings: Sequence[Recording], selection: Selection, root: Path, key: str
) -> list[Member]:
    """Return the trajectories that fulfil a selection, in order; `key` is its own, for messages."""
    members = [(r, i) for r, recording in enumerate(recordings) for i in range(recording.count)]
    if selection.trajectories is not None:
        wrong = [i for i in selection.trajectories if i >= len(members)]
        if wrong:
            known = f"0 to {len(members) - 1}, as {root} has {len(members)} trajectories"
            raise InputError(f"{key}.trajectories has {wrong[0]}, expected numbers from {known}")
        members = [members[i] for i in sorted(set(selection.trajectories))]
    if selection.files is not None:
        paths = [recording.path for recording in recordings]
        names = [p.name if p == root else p.relative_to(root).as_posix() for p in paths]
        pattern = selection.files
        matching = [fnmatchcase(n, pattern) or fnmatchcase(Path(n).name, pattern) for n in names]
        if not any(matching):
            raise InputError(
                f"{key}.files is {pattern!r}, expected a pattern that fits one of "
                + ", ".join(names[:8])
            )
        members = [(r, i) for r, i in members if matching[r]]
    if selection.where is not None:
        clauses = read_condition(selection.where, f"{key}.where")
        for r in dict.fromkeys(r for r, _ in members):
            scalars = recordings[r].scalars
            if absent := [name for name, _, _ in clauses if name not in scalars]:
                raise InputError(
                    f"{recordings[r].path} has no scalar {absent[0]!r} that {key}.where names, "
                    f"expected one of {', '.join(scalars) or 'none, for it has none'}"
                )
        members = [
            (r, i)
            for r, i in members
            if all(_COMPARE[sign](recordings[r].scalars[s][i], x) for s, sign, x in clauses)
        ]
    return members


def members_of(
    recordings: Sequence[Recording], data: ImportedData
) -> Mapping[str, Mapping[str, list[Member]]]:
    """Return every dataset's trajectories by split."""
    root = Path(data.root)
    ind, *axes = [data.names[0], *data.datasets] if data.generated else data.datasets
    taken: dict[Member, str] = {}
    found: dict[str, list[Member]] = {}
    for name in [*axes, *([] if data.generated else [ind])]:
        members = select(recordings, data.datasets[name], root, f"data.datasets.{name}")
        if name == ind:
            members = [member for member in members if member not in taken]
        for r, i in members:
            if (r, i) in taken:
                raise InputError(
                    f"trajectory {i} of {recordings[r].path} is in data.datasets.{taken[r, i]} "
                    f"and in data.datasets.{name}, expected it in one"
                )
            taken[r, i] = name
        if not members:
            total = sum(recording.count for recording in recordings)
            raise InputError(
                f"data.datasets.{name} has no trajectory of {root} ({total} in all), expected one"
            )
        found[name] = members
    splits = {ind: _split(recordings, found[ind], data, ind)} if ind in found else {}
    return splits | {name: {"test": found[name]} for name in axes}


def _split(
    recordings: Sequence[Recording], members: list[Member], data: ImportedData, name: str
) -> dict[str, list[Member]]:
    declared = [recordings[r].split for r, _ in members]
    if set(declared) == set(SPLITS):
        return {s: [m for m, d in zip(members, declared, strict=True) if d == s] for s in SPLITS}
    n = len(members)
    if n < len(SPLITS):
        stated = f"data.datasets.{name} has {n} trajectories of {data.root}"
        raise InputError(f"{stated}, expected at least 3: one each for train, valid and test")
    total = sum(data.fractions.values())
    counts = {s: max(1, round(n * data.fractions[s] / total)) for s in ("valid", "test")}
    while sum(counts.values()) >= n:  # train keeps one
        counts[max(counts, key=counts.__getitem__)] -= 1
    entropy = np.random.SeedSequence((data.seed, crc32(name.encode())))
    order = np.random.default_rng(entropy).permutation(n)
    parts = np.split(order, np.cumsum(list(counts.values())))
    drawn = dict(zip(("valid", "test", "train"), parts, strict=True))
    return {s: [members[i] for i in sorted(drawn[s].tolist())] for s in SPLITS}
