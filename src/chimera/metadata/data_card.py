"""The card of a study's data: Croissant for readers, with the front matter of Hugging Face's cards.

https://huggingface.co/docs/hub/datasets-cards
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml


def data_card(croissant: Mapping[str, Any], params: Mapping[str, Any], commit: str) -> str:
    """Return the card, of a study's Croissant, its parameters and the commit that it ran at."""
    data = params["data"]
    front = {
        "pretty_name": croissant["name"],
        "license": croissant["license"].rpartition("/")[2].lower(),
        "task_categories": ["time-series-forecasting"],
        "tags": ["fluid-dynamics", *data["fields"]],
    }
    lines = [f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n# {croissant['name']}\n"]
    for key, text in {"rai:description": croissant["description"], **croissant}.items():
        if key.startswith("rai:"):
            title = re.sub("([A-Z])", r" \1", key.removeprefix("rai:")).capitalize()
            lines.append(f"## {title}\n\n{text}\n")
    made = {key: value for key, value in data.items() if isinstance(value, int | float)}
    described = data["datasets"] | (data.get("files") or {}).get("datasets", {})
    made |= {name: described[name] for name in params["datasets"]}
    lines.append("## Settings\n\n| key | value |\n|---|---|")
    lines += [f"| {key} | `{json.dumps(value)}` |" for key, value in made.items()]
    lines.append(f"\n## Files\n\n`dvc pull` or `make repro` writes them at commit {commit}.\n")
    lines.append("| file | size | sha256 |\n|---|---|---|")
    files = croissant["distribution"]
    lines += [f"| {f['name']} | {f['contentSize']} | `{f['sha256']}` |" for f in files]
    return "\n".join(lines) + "\n"
