"""The experiment at one commit, read from git without a checkout and without data."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from chimera.files.artifacts import parse_yaml, read_params
from chimera.governance.logbook import git, named_keys
from chimera.governance.plan import Preregistration, nearest_block
from chimera.governance.preregistration import parse_preregistration
from chimera.interface.errors import InputError
from chimera.review.leaves import flatten
from chimera.review.markdown import code_span

METRIC_FILES = ("summary", "parity", "probes", "stats", "verify")
MACHINE = "metrics/provenance.yaml"
_WORD = re.compile(r"\w{1,20}\Z")
LOGS = ("Deviation_Log.md", "Decision_Log.md")


class Revision(NamedTuple):
    """The experiment at one commit."""

    name: str
    commit: str
    params: dict[str, Any]  # leaves by dotted key
    metrics: dict[str, dict[str, float]]  # leaves by dotted key of each file
    words: dict[str, str]  # of metrics/stats.json, by dotted key
    logs: dict[str, str]
    plan: Preregistration | None
    figures: dict[str, str]  # the blob id of every plots/png/*.png
    code: dict[str, str]  # the blob id of every file of the package
    deviating: dict[str, bool]  # frozen parameters of another value: whether an entry names them
    machine: str = ""  # the class of bytes of what was trained
    remark: str = ""  # a sentence about what could not be read

    @property
    def replicates(self) -> int:
        """Number of replicates."""
        return len(self.params.get("replicates", ()))

    @property
    def absent(self) -> list[str]:
        """Metrics files that do not exist."""
        return [f"metrics/{file}.json" for file in METRIC_FILES if file not in self.metrics]

    def __str__(self) -> str:
        short = code_span(self.commit[:9])
        return short if self.commit.startswith(self.name) else f"{code_span(self.name)} ({short})"


def read_revision(name: str, commit: str | None = None) -> Revision:
    """Return the experiment at a revision, or at a commit that is shown by that name.

    InputError if git does not know the revision, or a file has another form.
    """
    commit = resolve(commit or name)
    listed = git("ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]
    blobs = {path: about.split()[2] for about, path in (line.split("\t", 1) for line in listed)}

    def text(path: str) -> str:
        return git("cat-file", "blob", blobs[path]).decode() if path in blobs else ""

    params, remark, plan = _yaml(text("params.yaml"), f"{name}:params.yaml"), "", None
    logs = {log: text(log) for log in LOGS}
    if "PREREGISTRATION.md" in blobs:
        try:
            plan = parse_preregistration(text("PREREGISTRATION.md"), "PREREGISTRATION.md")
        except InputError as error:  # an older form: everything else can still be compared
            remark = f"Its preregistration is not of this code's form: {error}."
    logged = named_keys(logs["Deviation_Log.md"])
    metrics = {
        file: _metrics(text(path), f"{name}:{path}")
        for file in METRIC_FILES
        if (path := f"metrics/{file}.json") in blobs
    }
    said = metrics.get("stats", {})
    told = [key for key, value in said.items() if isinstance(value, str) and _WORD.match(value)]
    words = {key: said.pop(key) for key in told}
    return Revision(
        name,
        commit,
        flatten(params),
        {file: _numbers(found, f"{name}:metrics/{file}.json") for file, found in metrics.items()},
        words,
        logs,
        plan,
        {p: b for p, b in blobs.items() if p.startswith("plots/png/") and p.endswith(".png")},
        {p: b for p, b in blobs.items() if p.startswith("src/chimera/")},
        {d.key: d.key in logged for d in (nearest_block(plan, params)[1] if plan else [])},
        str(_yaml(text(MACHINE), f"{name}:{MACHINE}").get("bytes", "")),
        remark,
    )


def with_work_tree(committed: Revision, summary: Mapping[str, Any]) -> Revision:
    """Return a revision with the parameters and the summary that lie in the work tree instead."""
    numbers = _numbers(flatten(summary), "metrics/summary.json")
    metrics = committed.metrics | {"summary": numbers}
    return committed._replace(params=flatten(read_params()), metrics=metrics)


def _yaml(text: str, name: str) -> dict[str, Any]:
    return _mapping(parse_yaml(text, name) or {}, name)


def _mapping(content: Any, name: str) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise InputError(f"{name} holds {content!r}, expected a mapping")
    return dict(content)


def _metrics(text: str, name: str) -> dict[str, Any]:
    """Return the leaves of a metrics file without nulls, which stand for withheld numbers."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{name} is not JSON: {error}") from None
    leaves = flatten(_mapping(content, name))
    return {key: value for key, value in leaves.items() if value is not None}


def _numbers(numbers: dict[str, Any], name: str) -> dict[str, float]:
    for key, value in numbers.items():
        if type(value) not in (int, float) or not math.isfinite(value):  # a bool is an int
            raise InputError(f"{name}: {key} is {value!r}, expected a finite number")
    return numbers


def resolve(name: str) -> str:
    """Return the hash of the commit that a revision names; an unknown one is an InputError."""
    asked = ("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    unknown = f"the revision is {name!r}, expected a branch, tag or commit"
    return git(*asked, otherwise=unknown).decode().strip()


def merge_base(base: str, head: str) -> str:
    """Return the newest common commit of both revisions; without one it is an InputError."""
    none = f"{base} and {head} have no common commit: is the clone shallow?"
    return git("merge-base", resolve(base), resolve(head), otherwise=none).decode().strip()
