"""What interventions on the networks have shown, in sentences made of metrics/probes.json."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import t

from chimera.study.labels import model_label

_SITES = {"output": "as a whole", "skip0": "by the finest skip", "bottleneck": "by the bottleneck"}
_CONTENDERS = {"": "ROME", "identity_": "C = I", "low_rank_": "low rank", "gradient_": "gradient",
               "unpreserved_": "nothing preserved"}  # fmt: skip
_END = "_output_faithfulness"


def patching_finding(found: Mapping[str, Any], models: Sequence[str]) -> str:
    """Return which sites carry the factors of counterfactual twins, and what would overturn it."""
    parts = []
    for model in models:
        row = found.get(model, {}).get("patching", {})
        for factor in (name.removesuffix(_END) for name in row if name.endswith(_END)):
            names = {f"{factor}_{site}_faithfulness": said for site, said in _SITES.items()}
            shares = [f"{row[name]:.2f} {said}" for name, said in names.items() if name in row]
            parts.append(f"{model_label(model)}, {factor}: {', '.join(shares)}")
    if not parts:
        return (
            "No counterfactual twins were made: they need vorticity that the stage generate "
            "simulated. Effects are relative to the network's own output."
        )
    return (
        "Two flows that the solver makes from one state differ in one factor. Faithfulness of the "
        f"network's change to the solver's, from 0 to 1: {'; '.join(parts)}. Another order of the "
        "sites in other replicates, or a p above 0.05 under the null of exchanged pairs, would "
        "overturn what is said of a site."
    )


def editing_finding(found: Mapping[str, Any], models: Sequence[str], replicates: int) -> str:
    """Return what each kind of edit reached, and whether localisation informs editing."""
    sentences = []
    for model in models:
        row = found.get(model, {}).get("rome", {})
        if "objective" in row:
            reached = ", ".join(
                f"{row[prefix + 'objective']:.2f} ({label}: {row[prefix + 'efficacy']:.0%} "
                f"repaired, IND drift {row[prefix + 'ind_drift']:.0%})"
                for prefix, label in _CONTENDERS.items()
            )
            sentences.append(f"{model_label(model)}: objective 1 without an edit, {reached}.")
        if "localisation_rho_sd" in row:
            rho, sd = row["localisation_rho"], row["localisation_rho_sd"]
            half = float(t.isf(0.025, replicates - 1)) * sd / math.sqrt(replicates)
            low, high = max(rho - half, -1.0), min(rho + half, 1.0)
            informs = "informs" if low > 0 else "misleads" if high < 0 else "is not shown to inform"
            sentences.append(
                f"Localisation {informs} editing: over layers the rank correlation of patching "
                f"effect and repair is {rho:+.2f} (95% t interval over {replicates} seeds: "
                f"{low:+.2f} to {high:+.2f})."
            )
    overturn = "An interval on another side of 0, or a smaller objective, would overturn this."
    return " ".join([*sentences, overturn]) if sentences else "No layer was edited."
