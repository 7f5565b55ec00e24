"""Which trajectories of somebody's files make which dataset, and which split.

Trajectories are counted from 0 over all files in the order of their names. Each OOD axis takes
those that fulfil its conditions; IND takes what is left. Within IND the source's own splits hold
where it has all three, else shares drawn by data.seed.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Recording
from chimera.data.settings import SPLITS, ImportedData, Selection
from chimera.interface.errors import InputError

# A trajectory: number of the recording, number within it.
Member = tuple[int, int]

_COMPARE: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CLAUSE = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")


def read_condition(text: str, key: str) -> list[tuple[str, str, float]]:
    """Return the comparisons (scalar, operator, number) of a condition.

    >>> read_condition("viscosity < 1e-3 and drag >= 0", "where")
    [('viscosity', '<', 0.001), ('drag', '>=', 0.0)]

    Raises:
        InputError: If it is none.
    """
    clauses = []
    for part in re.split(r"\band\b", text):
        found = _CLAUSE.fullmatch(part)
        try:
            name, sign, number = found.groups()  # type: ignore[union-attr]
            clauses.append((name, sign, float(number)))
        except (AttributeError, ValueError):
            raise InputError(
                f"{key} is {text!r}, expected comparisons such as 'viscosity < 1e-3', joined by "
                "'and'"
            ) from None
    return clauses


def chosen(
    recordings: Sequence[Recording], selection: Selection, root: Path, key: str
) -> list[Member]:
    """Return the trajectories that fulfil every condition of a selection, in order.

    Args:
        recordings: All of the source.
        selection: The conditions.
        root: Of the source; patterns are below it.
        key: Dotted, of the selection, for messages.

    Raises:
        InputError: If a scalar is absent or a number too large.
    """
    members = [(r, i) for r, recording in enumerate(recordings) for i in range(recording.count)]
    if selection.trajectories is not None:
        wrong = [i for i in selection.trajectories if not 0 <= i < len(members)]
        if wrong:
            raise InputError(
                f"{key}.trajectories has {wrong[0]}, expected numbers from 0 to "
                f"{len(members) - 1}, as {root} has {len(members)} trajectories"
            )
        members = [members[i] for i in sorted(set(selection.trajectories))]
    if selection.files is not None:
        matching = {
            r
            for r, recording in enumerate(recordings)
            if fnmatchcase(_relative(recording.path, root), selection.files)
            or fnmatchcase(recording.path.name, selection.files)
        }
        if not matching:
            raise InputError(
                f"{key}.files is {selection.files!r}, expected a pattern that fits one of "
                + ", ".join(_relative(recording.path, root) for recording in recordings[:8])
            )
        members = [(r, i) for r, i in members if r in matching]
    if selection.where is not None:
        fulfilled = {}
        for r in {r for r, _ in members}:
            inside = np.ones(recordings[r].count, dtype=bool)
            for name, sign, number in read_condition(selection.where, f"{key}.where"):
                scalars = recordings[r].scalars
                if name not in scalars:
                    raise InputError(
                        f"{recordings[r].path} has no scalar {name!r} that {key}.where names, "
                        f"expected one of {', '.join(scalars) or 'none, for it has none'}"
                    )
                inside &= _COMPARE[sign](scalars[name], number)
            fulfilled[r] = inside
        members = [(r, i) for r, i in members if fulfilled[r][i]]
    return members


def _relative(path: Path, root: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()


def members_of(
    recordings: Sequence[Recording], data: ImportedData
) -> Mapping[str, Mapping[str, list[Member]]]:
    """Return every dataset's trajectories by split.

    Raises:
        InputError: If a trajectory is in two datasets, or a dataset or split has none.
    """
    root = Path(data.root)
    names = list(data.datasets)
    taken: dict[Member, str] = {}
    found: dict[str, list[Member]] = {}
    for name in [*names[1:], names[0]]:
        members = chosen(recordings, data.datasets[name], root, f"data.datasets.{name}")
        if name == names[0]:  # IND is what no axis took
            members = [member for member in members if member not in taken]
        for r, i in members:
            if (r, i) in taken:
                raise InputError(
                    f"trajectory {i} of {recordings[r].path} is in data.datasets.{taken[r, i]} "
                    f"and in data.datasets.{name}, expected it in one"
                )
            taken[r, i] = name
        if not members:
            raise InputError(
                f"data.datasets.{name} has no trajectory of {root} "
                f"({sum(recording.count for recording in recordings)} in all), expected at least "
                "one"
            )
        found[name] = members
    ind = _split(recordings, found[names[0]], data, names[0])
    return {names[0]: ind} | {name: {"test": found[name]} for name in names[1:]}


def _split(
    recordings: Sequence[Recording], members: list[Member], data: ImportedData, name: str
) -> dict[str, list[Member]]:
    own = [recordings[r].split for r, _ in members]
    if set(own) == set(SPLITS):
        return {s: [m for m, o in zip(members, own, strict=True) if o == s] for s in SPLITS}
    n = len(members)
    if n < len(SPLITS):
        raise InputError(
            f"data.datasets.{name} has {n} trajectories of {data.root}, expected at least 3: one "
            "each for train, valid and test"
        )
    total = sum(data.fractions.values())
    counts = {s: max(1, round(n * data.fractions[s] / total)) for s in ("valid", "test")}
    while sum(counts.values()) >= n:  # train keeps one
        counts[max(counts, key=lambda s: counts[s])] -= 1
    entropy = np.random.SeedSequence((data.seed, crc32(name.encode())))
    order = np.random.default_rng(entropy).permutation(n).tolist()
    valid, test = order[: counts["valid"]], order[counts["valid"] : sum(counts.values())]
    train = order[sum(counts.values()) :]
    return {
        s: [members[i] for i in sorted(part)]
        for s, part in (("train", train), ("valid", valid), ("test", test))
    }
