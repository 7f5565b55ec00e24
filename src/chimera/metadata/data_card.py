"""The card of a study's data: README.md with the front matter of Hugging Face's dataset cards.

Croissant says the same to programs; https://huggingface.co/docs/hub/datasets-cards.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
SECTIONS = {
    "How they came about": "rai:dataCollection",
    "What they are for": "rai:dataUseCases",
    "Limits": "rai:dataLimitations",
    "Biases": "rai:dataBiases",
    "Sensitive information": "rai:personalSensitiveInformation",
}


def data_card(croissant: Mapping[str, Any], params: Mapping[str, Any], commit: str) -> str:
    """Return the card, of a study's Croissant, its parameters and the commit that it ran at."""
    data, files = params["data"], croissant["distribution"]
    front = {
        "pretty_name": croissant["name"],
        "license": croissant["license"].rpartition("/")[2].lower(),
        "task_categories": ["time-series-forecasting"],
        "tags": ["fluid-dynamics", *data["fields"]],
        "configs": [
            {"config_name": name, "data_files": _splits(name, files)} for name in params["datasets"]
        ],
    }
    keys = ("shape", "domain_extent", "num_frames", "frame_interval")
    facts = {"fields": ", ".join(data["fields"])} | {key: data[key] for key in keys if key in data}
    sections = {title: croissant[key] for title, key in SECTIONS.items() if key in croissant}
    made = {name: f"`{json.dumps(data['datasets'][name])}`" for name in params["datasets"]}
    hashes = {file["name"]: f"{file['contentSize']} | `{file['sha256']}`" for file in files}
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n",
            f"# {croissant['name']}\n\n{croissant['description']}\n",
            *_table("| | |", facts),
            *(f"## {title}\n\n{text}\n" for title, text in sections.items()),
            "## Datasets\n",
            *_table("| dataset | made of |", made),
            f"## Files\n\n`dvc pull`, or else `make repro`, writes them at commit {commit}.\n",
            *_table("| file | size | sha256 |", hashes),
        ]
    )


def _splits(dataset: str, files: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the files of each split of a dataset, in The Well's layout data/SPLIT/*.hdf5."""
    folders = {PurePosixPath(file["name"]).parent for file in files}
    return [
        {"split": split, "path": f"{folder}/*.hdf5"}
        for name, split in SPLITS.items()
        if (folder := PurePosixPath(f"data/{dataset}/data/{name}")) in folders
    ]


def _table(head: str, rows: Mapping[str, Any]) -> list[str]:
    rule = "|" + "---|" * (head.count("|") - 1)
    return [head, rule, *(f"| {name} | {value} |" for name, value in rows.items()), ""]
