"""Croissant of a study's data: every file with its sha256, and how the data came about.

MLCommons Croissant 1.1 and its vocabulary RAI 1.0 (https://docs.mlcommons.org/croissant), at the
level of files: Croissant's records do not reach into The Well's HDF5 layout.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

LICENCE = "https://spdx.org/licenses/MIT"
CREATOR = {"@type": "sc:Organization", "name": "The Chimera contributors"}
FORMATS = {".hdf5": "application/x-hdf5", ".yaml": "application/yaml"}

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "conformsTo": "dct:conformsTo",
    "md5": "cr:md5",
}
SIMULATED = {
    "rai:dataCollection": (
        "Simulated: the two-dimensional Navier-Stokes equation in vorticity form with Kolmogorov "
        "forcing and linear drag on a periodic square, pseudo-spectral, in double precision, after "
        "a warm-up. Every trajectory draws its viscosity and its force from the declared ranges."
    ),
    "rai:dataUseCases": (
        "Training and comparing networks that forecast the next frame; the first dataset is in "
        "distribution, every other one leaves its ranges in one factor."
    ),
    "rai:dataLimitations": (
        "Flows of one equation, in two dimensions, on one grid and within the declared ranges; a "
        "result on them says nothing about other flows, walls or three dimensions."
    ),
    "rai:dataBiases": "Only statistically steady flows, and their decay, are sampled.",
    "rai:personalSensitiveInformation": "None: no person is described.",
}


def croissant(
    params: Mapping[str, Any],
    files: Sequence[Mapping[str, Any]],
    *,
    name: str,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the JSON-LD of a study's data.

    Args:
        params: Of the study.
        files: Entries of the manifests for its datasets: path, sha256, bytes.
        name: Of the study.
        about: The record's `date` and `version`.
    """
    generated = params["data"]["source"] == "generated"
    imported = {"rai:dataCollection": "Imported files, as their sha256 names them."}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": f"{name}-data",
        "description": f"Flows of the study {name}: {', '.join(params['datasets'])}.",
        "license": LICENCE,
        "creator": CREATOR,
        "datePublished": about["date"],
        "version": about["version"],
        "citeAs": "The Chimera contributors: Chimera, see CITATION.cff",
        **(SIMULATED if generated else imported),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": entry["path"],
                "name": entry["path"],
                "contentUrl": entry["path"],
                "contentSize": f"{entry['bytes']} B",
                "encodingFormat": FORMATS.get(
                    PurePosixPath(entry["path"]).suffix, "application/octet-stream"
                ),
                "sha256": entry["sha256"],
            }
            for entry in files
        ],
    }
