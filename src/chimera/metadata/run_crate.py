"""RO-Crate of a finished study: what ran, in which order, on what, and what came out.

    the whole run    CreateAction of dvc.yaml: parameters and data in, the record's files out
    each stage       CreateAction of its module: the dependencies and outputs of dvc.lock

Workflow Run RO-Crate 0.5 (Leo et al. 2024, "Recording provenance of workflow runs with RO-Crate",
PLoS ONE 19(9), e0309210; https://w3id.org/ro/wfrun/workflow/0.5). A file of the record is a data
entity; what lies outside it, in DVC's cache or on a remote, has an identifier that begins with `#`,
the md5 by which DVC finds it, and its sha256 where the record knows it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from chimera.metadata.croissant import UNKNOWN

Entity = dict[str, Any]


def run_crate(
    lock: Mapping[str, Any],
    sizes: Mapping[str, int],
    hashes: Mapping[str, str],
    about: Mapping[str, Any],
    terms: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the JSON-LD of a record.

    `lock` has the stages of dvc.lock, `sizes` the bytes of every file of the record, also dvc.yaml,
    and `hashes` the sha256 of these and of files outside of it, by path. `about` is its provenance:
    `name`, `commit`, `date`, `version`, `computed`; `terms` is the content of terms.yaml.
    """
    name, computed = about["name"], about["computed"][0]
    author, profiles = {"@id": terms["authors"]["@id"]}, terms["profiles"]
    outside = {
        path: {"@id": f"#{path}", "@type": "CreativeWork", "name": path, "sha256": sha256}
        for path, sha256 in hashes.items()
        if path not in sizes
    }
    values: dict[str, Entity] = {}
    actions = [
        _action(stage, entry, sizes, outside, values) | {"agent": author, "endTime": about["date"]}
        for stage, entry in lock.items()
        if entry.get("outs")
    ]
    versions = [
        {"@id": f"#{package}", "@type": "SoftwareApplication", "name": package, "version": version}
        for package, version in computed.items()
        if package not in ("bytes", "runs")
    ]
    software = [
        {
            "@id": module,
            "@type": "SoftwareApplication",
            "name": module[1:],
            "softwareVersion": about["version"],
            "softwareRequirements": _references(package["@id"] for package in versions),
        }
        for module in dict.fromkeys(action["instrument"]["@id"] for action in actions)
    ]
    files: dict[str, Entity] = {
        path: {
            "@id": path,
            "@type": "File",
            "name": PurePosixPath(path).name,
            "encodingFormat": terms["media"].get(PurePosixPath(path).suffix, UNKNOWN),
            "contentSize": str(size),
            "sha256": hashes[path],
        }
        for path, size in sizes.items()
    }
    pipeline = {"name": f"The pipeline of {name}", "version": about["commit"]}
    files["dvc.yaml"] |= terms["workflow"] | pipeline
    whole = terms["run"] | {
        "name": f"The run of {name} on {computed['bytes']}",
        "agent": author,
        "endTime": about["date"],
        "object": _references([*values, *(f"#{path}" for path in outside if "data/" in path)]),
        "result": _references(path for path in sizes if path.startswith(("metrics/", "plots/"))),
    }
    root = terms["record"] | {
        "name": f"Chimera, the study {name}",
        "datePublished": about["date"],
        "author": author,
        "publisher": author,
        "conformsTo": _references(profiles.values()),
        "hasPart": _references(sizes),
        "mentions": _references(["#run", *(action["@id"] for action in actions)]),
    }
    versioned = [
        {"@id": url, "@type": "CreativeWork", "name": key, "version": url.rsplit("/", 1)[1]}
        for key, url in profiles.items()
    ]
    constant = [terms["licence"], terms["authors"], terms["language"], *versioned]
    graph = [terms["descriptor"], root, *constant, *versions, *software, whole, *actions]
    graph += [*files.values(), *values.values(), *outside.values()]
    return {"@context": terms["context"], "@graph": graph}


def _action(
    stage: str,
    entry: Mapping[str, Any],
    sizes: Mapping[str, int],
    outside: dict[str, Entity],
    values: dict[str, Entity],
) -> Entity:
    """Return a stage's action, and add what it reads and writes outside of the record."""

    def identify(item: Mapping[str, Any]) -> str:
        path = str(item["path"])
        if path in sizes:
            return path
        entity = {"@id": f"#{path}", "@type": "CreativeWork", "name": path}
        outside.setdefault(path, entity).setdefault("identifier", f"md5:{item['md5']}")
        return f"#{path}"

    read = [identify(item) for item in entry.get("deps", [])]
    for key, value in entry.get("params", {}).get("params.yaml", {}).items():
        parameter = f"#params.yaml:{key}"
        said = {"@id": parameter, "@type": "PropertyValue", "name": key, "value": json.dumps(value)}
        values.setdefault(parameter, said)
        read.append(parameter)
    return {
        "@id": f"#stage:{stage}",
        "@type": "CreateAction",
        "name": stage,
        "description": entry["cmd"],
        "instrument": {"@id": f"#{entry['cmd'].split()[2]}"},
        "object": _references(read),
        "result": _references(map(identify, entry["outs"])),
    }


def _references(identifiers: Iterable[str]) -> list[dict[str, str]] | dict[str, str]:
    """Return references; a single one is no list, as RO-Crate recommends."""
    found = [{"@id": identifier} for identifier in dict.fromkeys(identifiers)]
    return found[0] if len(found) == 1 else found
