"""Croissant of a study's data: every file with its sha256, and how the data came about.

MLCommons Croissant 1.1 and its vocabulary RAI 1.0 (https://docs.mlcommons.org/croissant), at the
level of files: Croissant's records do not reach into The Well's HDF5 layout.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

UNKNOWN = "application/octet-stream"  # the media type of any file


def croissant(
    params: Mapping[str, Any],
    files: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    terms: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the JSON-LD of a study's data.

    `files` are its manifests' entries {path, sha256, bytes}, `about` the record's `name`, `date`,
    `version`, `terms` the content of terms.yaml.
    """
    data, how = params["data"], "rai:dataCollection"
    source = terms["generated" if data["source"] == "generated" else "imported"]
    if data.get("files"):
        axes = f"{', '.join(data['imported'])}: {terms['imported'][how]}"
        source = source | {how: f"{source[how]} {axes}"}
    dataset = {
        "name": f"{about['name']}-data",
        "description": f"Flows of the study {about['name']}: {', '.join(params['datasets'])}.",
        "license": terms["licence"]["@id"],
        "creator": {"@type": "sc:Organization", "name": terms["authors"]["name"]},
        "datePublished": about["date"],
        "version": about["version"],
        "distribution": [
            {
                "@type": "cr:FileObject",
                **dict.fromkeys(("@id", "name", "contentUrl"), entry["path"]),
                "contentSize": f"{entry['bytes']} B",
                "encodingFormat": terms["media"].get(PurePosixPath(entry["path"]).suffix, UNKNOWN),
                "sha256": entry["sha256"],
            }
            for entry in files
        ],
    }
    return terms["data"] | source | dataset
