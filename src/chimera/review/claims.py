"""What a finished study says, checked against its errors per trajectory.

A study is a folder: the repository's root, or a record of it. Each check computes a file anew from
metrics/errors.csv and metrics/statistics.csv, or compares what two files say of one thing. Nothing
here needs more than NumPy, SciPy and YAML.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zipfile import ZipFile

from chimera.files import artifacts
from chimera.governance.analysis import analyse
from chimera.governance.logbook import git
from chimera.governance.plan import Preregistration, declared_block, nearest_block, whole_plan
from chimera.interface.errors import InputError
from chimera.metadata.packing import frozen_files, metadata
from chimera.report.verdict import beaten_by_baselines, percent, verdicts
from chimera.review.leaves import flatten, wrong_leaves
from chimera.study.aggregation import read_statistics, summarise, summarise_probes
from chimera.study.axes import axis_name
from chimera.study.endpoints import by_model
from chimera.study.error_table import Runs, read_errors
from chimera.study.headline import headline
from chimera.study.tables import BY_RUN, digest
from chimera.tuning.table import trials_by_model, winner

JSON_DIGITS, TABLE_DIGITS = 6, 4  # significant digits of metrics/*.json and plots/tables/*.csv
EVALUATED_DIGITS = 5  # in which two kinds of processor agree

# What git keeps of a study; dvc.lock has the hash of each.
IN_GIT = re.compile(
    r"(params\.yaml|PREREGISTRATION\.md|Deviation_Log\.md|constraints-numerics\.txt|data/manifests"
    r"|metrics/\w+\.(json|csv|yaml)|metrics/gates/verify(/\w+\.yaml)?|plots/(png|tables|cost\.csv)"
    r"|tuning/\w+\.(json|csv))"
)
# What either a clone or a record lacks.
OPTIONAL = re.compile(r"metrics/(gates/.+|provenance\.yaml)|plots/cost\.csv")
MD5 = partial(hashlib.md5, usedforsecurity=False)
NUMBER = re.compile(r"[+-]?\d[\d.,]*(?<![.,])%?")


class Claim(NamedTuple):
    """What is claimed, and a sentence for everything that is wrong with it."""

    text: str
    faults: list[str]


@dataclass(frozen=True)
class Kept:
    """The files of one study."""

    root: Path

    @cached_property
    def params(self) -> dict[str, Any]:
        """Content of params.yaml."""
        return artifacts.read_params(self.root / "params.yaml")

    @cached_property
    def plan(self) -> Preregistration:
        """Content of PREREGISTRATION.md."""
        path = self.root / "PREREGISTRATION.md"
        return whole_plan(declared_block(artifacts.read_text(path), str(path)), str(path))

    @cached_property
    def runs(self) -> Runs:
        """Errors by forecaster and replicate."""
        return read_errors(self.table("errors"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Content of metrics/summary.json, computed anew."""
        return summarise(self.runs, self.plan.weights)

    @cached_property
    def stats(self) -> dict[str, Any]:
        """Content of metrics/stats.json, computed anew."""
        statistics, verify = self.table("statistics"), self.metrics("verify")
        plan = artifacts.sha256(self.root / "PREREGISTRATION.md")[:12]
        found = analyse(self.params, self.plan, self.runs, statistics, verify)
        return found | {"preregistration": plan}

    @cached_property
    def headline(self) -> dict[str, Any]:
        """Content of metrics/headline.json, computed anew."""
        return headline(self.summary, self.stats, self.params["model_names"])

    @cached_property
    def probes(self) -> dict[str, Any]:
        """Content of metrics/probes.json, computed anew."""
        return summarise_probes(read_statistics(self.table("statistics"), self.params))

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of metrics/<name>.csv."""
        return artifacts.read_csv(self.root / f"metrics/{name}.csv")

    def metrics(self, name: str) -> dict[str, Any]:
        """Return the content of metrics/<name>.json."""
        content: dict[str, Any] = artifacts.read_json(self.root / f"metrics/{name}.json")
        return content


def study_claims(kept: Kept) -> Iterator[Claim]:
    """Yield every claim that a study makes, checked."""
    for text, check in CHECKS.items():
        yield from _checked(text, check, kept)


def _checked(text: str, check: Callable[..., list[str] | None], *of: Any) -> Iterator[Claim]:
    """Yield a claim, unless its file is none of the study's; an unusable file is a fault of it."""
    try:
        faults = check(*of)
    except InputError as error:
        faults = [str(error)]
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        faults = [f"a file has another form: {type(error).__name__}: {error}"]
    if faults is not None:
        yield Claim(text, faults)


def _params(kept: Kept) -> list[str]:
    block, deviating = nearest_block(kept.plan, kept.params)
    if kept.metrics("stats")["standing"] == "exploratory":
        return []  # metrics/stats.json counts them
    return [f"{d.key} is {d.running}, frozen in {block} as {d.frozen}" for d in deviating]


def _metrics(name: str, kept: Kept) -> list[str]:
    return wrong_leaves(kept.metrics(name), getattr(kept, name), JSON_DIGITS)


def _headline(kept: Kept) -> list[str] | None:
    if not (kept.root / "metrics/headline.json").exists():
        return None  # a study that was kept before DVC listed it
    return _metrics("headline", kept)


def _errors_table(kept: Kept) -> list[str]:
    def by_run(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
        keys, values = BY_RUN.keys, BY_RUN.values
        return {" ".join(row[k] for k in keys): {v: float(row[v]) for v in values} for row in rows}

    written = artifacts.read_csv(kept.root / "plots/tables/errors.csv")
    return wrong_leaves(by_run(written), by_run(digest(kept.table("errors"), BY_RUN)), TABLE_DIGITS)


def _parity(kept: Kept) -> list[str]:
    parity, baseline = kept.metrics("parity"), kept.params["baseline"]
    tolerance = kept.params["parity"]["tolerance"]
    faults = [] if parity["tolerance"] == tolerance else [f"tolerance is not {tolerance}"]
    for model in kept.params["model_names"]:
        for size in ("params", "macs") if model != baseline else ():
            gap = parity[model][size] / parity[baseline][size] - 1
            name = f"{model}.{size}_gap"
            faults += wrong_leaves({name: parity[model][f"{size}_gap"]}, {name: gap}, 12)
            faults += [f"{name} is {gap}, above {tolerance}"] if abs(gap) > tolerance else []
    return faults


def _data(kept: Kept) -> list[str]:
    counts = kept.metrics("verify")
    frozen = {entry["path"]: entry["sha256"] for entry in frozen_files(kept.root, kept.params)}
    files = sum(count for name, count in counts.items() if name != "files")
    faults = wrong_leaves({"files": counts["files"]}, {"files": files}, 9)
    known = counts["exact"] + counts["equivalent"] + counts["missing"]
    if counts["unfrozen"] == 0 and known != len(frozen):
        faults.append(f"{known} files are frozen, expected {len(frozen)} as in the manifests")
    for path in sorted((kept.root / "metrics/gates/verify").glob("*.yaml")):
        if not counts["equivalent"]:
            read = artifacts.read_yaml(path)["sha256"]
            other = read if len(read.keys() - frozen.keys()) <= counts["unfrozen"] else {}
            faults += wrong_leaves(read, {name: (other | frozen).get(name) for name in read}, 9)
    return faults


def _lock(kept: Kept) -> list[str]:
    recorded: dict[str, dict[str, Any]] = {}
    faults, running = list[str](), flatten(kept.params)
    for stage, entry in artifacts.read_yaml(kept.root / "dvc.lock")["stages"].items():
        for item in [*entry.get("deps", []), *entry.get("outs", [])]:
            path = item["path"]
            if recorded.setdefault(path, item) != item:
                faults.append(f"{path} has two hashes in dvc.lock, of {stage} {item['md5']}")
        for key, value in flatten(entry.get("params", {}).get("params.yaml", {})).items():
            if running.get(key) != value:
                faults.append(f"{key} is {running.get(key)} in params.yaml, {value} in {stage}")
    for path, item in recorded.items():
        file = kept.root / path
        if IN_GIT.fullmatch(path) and (file.exists() or not OPTIONAL.fullmatch(path)):
            faults += [
                f"{path} has the {name} {value}, expected {item.get(name)} as in dvc.lock"
                for name, value in dvc_entry(file).items()
                if item.get(name) != value
            ]
    return faults


def dvc_entry(path: Path) -> dict[str, Any]:
    """Return what dvc.lock says of a file, or of a folder: the md5 of the list of its files."""
    if not path.is_dir():
        content = artifacts.read_bytes(path)
        return {"md5": MD5(content).hexdigest(), "size": len(content)}
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    inner = {name: dvc_entry(files[name]) for name in sorted(files)}
    listed = [{"md5": entry["md5"], "relpath": name} for name, entry in inner.items()]
    md5 = MD5(json.dumps(listed).encode()).hexdigest() + ".dir"
    return {"md5": md5, "size": sum(e["size"] for e in inner.values()), "nfiles": len(files)}


def _tuning(kept: Kept) -> list[str] | None:
    trials = kept.root / "tuning/trials.csv"
    if not trials.exists():
        return None
    searched = trials_by_model(artifacts.read_csv(trials))
    found = {model: winner(rows) for model, rows in searched.items()}
    metrics = artifacts.read_json(kept.root / "tuning/metrics.json")
    written = {m: {k: row[k] for k in found.get(m, row)} for m, row in metrics.items()}
    faults = wrong_leaves(written, found, TABLE_DIGITS)
    if kept.metrics("stats")["standing"] == "exploratory":
        return faults  # it may have other rates, as the smoke scale has
    lr = {model: kept.params["models"][model]["train"]["lr"] for model in found}
    return faults + wrong_leaves(lr, {model: row["best_lr"] for model, row in found.items()}, 3)


def _metadata(kept: Kept) -> list[str] | None:
    if not (kept.root / "provenance.yaml").exists():
        return None  # the work tree; a record has it
    return [
        f"{name} is not what the record's files say"
        for name, content in metadata(kept.root).items()
        if artifacts.read_text(kept.root / name) != content
    ]


CHECKS: dict[str, Callable[[Kept], list[str] | None]] = {
    "params.yaml is what PREREGISTRATION.md froze, or says how far not": _params,
    "metrics/summary.json follows from metrics/errors.csv": partial(_metrics, "summary"),
    "metrics/stats.json follows from metrics/errors.csv": partial(_metrics, "stats"),
    "metrics/probes.json follows from metrics/statistics.csv": partial(_metrics, "probes"),
    "metrics/headline.json has these numbers": _headline,
    "plots/tables/errors.csv follows from metrics/errors.csv": _errors_table,
    "metrics/parity.json is within its tolerance": _parity,
    "metrics/verify.json counts the files of the manifests": _data,
    "dvc.lock has the hashes and the parameters of these files": _lock,
    "tuning/metrics.json and the learning rates follow from tuning/trials.csv": _tuning,
    "the RO-Crate, Croissant and data card of a record follow from its files": _metadata,
}


def evaluation_faults(
    kept: Kept, model: str, replicate: int, found: Mapping[str, Mapping[str, Sequence[float]]]
) -> list[str]:
    """Return where a checkpoint's errors by dataset, evaluated anew, are not those of the table."""
    faults: list[str] = []
    for axis, written in kept.runs[model, replicate].items():
        (dataset,) = [name for name in found if axis_name(name, kept.params["datasets"]) == axis]
        for metric, column in written.items():
            for i, (old, new) in enumerate(zip(column, found[dataset][metric], strict=True)):
                key = f"{model} {replicate} {axis} {i} {metric}"
                faults += wrong_leaves({key: old}, {key: float(new)}, EVALUATED_DIGITS)
    return faults


def page_claims(root: Path, studies: Sequence[Kept]) -> Iterator[Claim]:
    """Yield whether README.md and docs/ say what the studies found.

    A sentence of a report has to have one study's own numbers. Under README's `What was found` each
    other number has to be one of the studies that it links to, of all of them without a link.
    """
    yield from _checked("README.md says what a study found", _readme, root, studies)
    yield from _checked("docs/ repeats what a study found", _docs, root, studies)


def wrong_claims(commit: str) -> list[str]:
    """Return what README.md and docs/ of a commit say that its studies do not."""
    with TemporaryDirectory() as folder:
        with ZipFile(BytesIO(git("archive", "--format=zip", commit))) as files:
            files.extractall(folder)
        root = Path(folder)
        claims = page_claims(root, studies_below(root)) if (root / "README.md").exists() else ()
        return [fault.replace(f"{root}/", "") for claim in claims for fault in claim.faults]


def studies_below(root: Path) -> list[Kept]:
    """Return the default run of a work tree and its records."""
    return [Kept(folder) for folder in (root, *sorted(root.glob("records/*/")))]


def _readme(root: Path, studies: Sequence[Kept]) -> list[str]:
    text = artifacts.read_text(root / "README.md")
    found = re.search(r"^## What was found\n(.+?)^## ", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        return ["README.md has no section `What was found`"]
    linked = set(re.findall(r"\((records/[\w.-]+)", found[1]))
    named = {f"records/{kept.root.name}": kept for kept in studies}
    told = [kept for name, kept in named.items() if not linked or name in linked]
    section = re.sub(r"!\[.*?\]\(.*?\)|\]\(.*?\)", "", found[1])
    sentences = [sentence for kept in told for sentence in report_sentences(kept)]
    faults, rest = _misquoted("README.md", section, sentences)
    known = set(NUMBER.findall(" ".join(sentences)))
    unknown = [number for number in NUMBER.findall(rest) if number not in known]
    faults += [f"README.md says {number}, which no study does" for number in unknown]
    return faults + [f"README.md links to {name}, no study" for name in linked - named.keys()]


def _docs(root: Path, studies: Sequence[Kept]) -> list[str]:
    sentences = [text for kept in studies for text in report_sentences(kept) if text.endswith(".")]
    pages = {f"docs/{path.name}": path for path in sorted((root / "docs").glob("*.md"))}
    texts = {page: artifacts.read_text(path) for page, path in pages.items()}
    return [fault for name in texts for fault in _misquoted(name, texts[name], sentences)[0]]


def _misquoted(page: str, text: str, sentences: Sequence[str]) -> tuple[list[str], str]:
    """Return a fault for each sentence with another study's numbers, and what else a page says."""
    text, faults = " ".join(text.split()), list[str]()
    known: dict[str, list[list[str]]] = {}  # the numbers of all sentences of one wording
    for sentence in sorted(sentences, key=len, reverse=True):
        wording = NUMBER.pattern.join(map(re.escape, NUMBER.split(sentence)))
        known.setdefault(wording, []).append(NUMBER.findall(sentence))
    for wording, expected in known.items():
        for quoted in re.findall(wording, text):
            rows = [list(zip(NUMBER.findall(quoted), row, strict=True)) for row in expected]
            nearest = min(rows, key=lambda pairs: sum(a != b for a, b in pairs))
            if wrong := [(said, found) for said, found in nearest if said != found]:
                said, found = (", ".join(numbers) for numbers in zip(*wrong, strict=True))
                faults.append(f"{page} says {said}, the study {found}: {quoted}")
        text = re.sub(wording, "", text)
    return faults, text


def report_sentences(kept: Kept) -> list[str]:
    """Return what a report of the study says, from numbers computed anew."""
    plan, models = kept.plan, kept.params["model_names"]
    found = verdicts(kept.stats, kept.summary, plan, models, kept.params["baseline"])
    rows = [row[plan.primary] for row in by_model(kept.stats).values() if plan.primary in row]
    said = [
        *(text for verdict in found for text in (verdict.headline, *verdict.sentences)),
        *(f"a difference of {percent(row['detectable'])} of error" for row in rows),
        f"a probability of {plan.power:.0%}",
        f"of interest is {percent(plan.margin)}",
        *beaten_by_baselines(kept.summary, models),
    ]
    return [sentence for text in said for sentence in re.split(r"(?<=\.) (?=[A-Z])", text)]
