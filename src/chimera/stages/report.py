"""Write plots/report.html, the whole study on one self-contained page."""

from pathlib import Path
from typing import Any

from chimera.files.artifacts import read_bytes, read_params, read_text, write_text
from chimera.governance.logbook import entries
from chimera.governance.plan import nearest_block
from chimera.governance.preregistration import read_preregistration, read_sections
from chimera.interface.errors import guarded
from chimera.planning.break_even import read_costs
from chimera.report import prose, tables
from chimera.report.cost import account
from chimera.report.document import data_uri, git_object, templates
from chimera.report.verdict import beaten_by_baselines, verdicts
from chimera.study.axes import datasets_by_axis
from chimera.study.endpoints import by_model
from chimera.study.results import FORMS, read_metrics, read_numbers, read_result

# Lines as SVG, which stays sharp; fields as PNG, which is smaller.
LINES = "cost fig1_errors training tuning rollout forest parity"
PROBED = "depth spectra twonn ib patching rome"
PICTURES = {"fields": "png"} | dict.fromkeys([*LINES.split(), *PROBED.split()], "svg")
SOURCES = ("params.yaml", "PREREGISTRATION.md", "Deviation_Log.md")


def main() -> None:
    """Run the stage."""
    params, plan, sections = read_params(), read_preregistration(), read_sections()
    models, baseline = params["model_names"], params["baseline"]
    metrics = {name: read_metrics(name) for name in FORMS}
    stats, summary = metrics["stats"], metrics["summary"]
    (_, deviating), log = nearest_block(plan, params), read_text(Path("Deviation_Log.md"))
    runs = [f"{model}/{replicate}" for model in models for replicate in params["replicates"]]
    machines = {
        run: read_result(Path(f"checkpoints/{run}/provenance.yaml"), dict[str, Any]) for run in runs
    }
    gates = [
        read_result(Path(f"metrics/gates/verify/{gate}.yaml"), {"sha256": dict[str, str]})
        for gate in ("training", "evaluation")
    ]
    trials = read_numbers(Path("tuning/trials.csv"), ("lr", "valid_nrmse"))
    repeats = read_numbers(Path("tuning/repeats.csv"), ("steps", "valid_nrmse"))
    statistics = read_numbers(Path("metrics/statistics.csv"), ("replicate", "value"))
    tuning = read_result(Path("tuning/metrics.json"), dict[str, dict[str, float]])
    files = [*SOURCES, *(f"metrics/{name}.json" for name in FORMS)]
    found, probes = by_model(stats), metrics["probes"]
    edits = {model: probes[model]["rome"] for model in models if "rome" in probes.get(model, {})}
    axes = list(datasets_by_axis(params["datasets"]))
    moving = dict.fromkeys([*axes, *(f"{axis}-still" for axis in axes)], "webp")
    content = {
        "params": params,
        "metrics": metrics,
        "question": sections["Question"],
        "seen": sections.get("What had been seen", ""),
        "verdicts": verdicts(stats, summary, plan, models, baseline),
        "plan": plan,
        "cost": account(params, summary, read_costs(metrics["parity"], params["data"]), tuning),
        "baselines": beaten_by_baselines(summary, models),
        "gains": prose.gains_by_model(repeats, models),
        "undecided": prose.undecided(stats),
        "contrast": next((row for rows in found.values() for row in rows.values()), None),
        "withheld": prose.withheld_statistics(probes),
        "findings": prose.probe_findings(probes),
        "twins": prose.faithfulness_of_twins(probes, models),
        "edits": edits,
        "localisation": prose.localisation_intervals(statistics, models),
        "text_of_params": read_text(Path("params.yaml")),
        "objects": {name: git_object(read_bytes(Path(name))) for name in files},
        "hashes": gates[0]["sha256"] | gates[1]["sha256"],
        "axes": axes,
        "pictures": {
            name: data_uri(read_bytes(Path(f"plots/{suffix}/{name}.{suffix}")), suffix)
            for name, suffix in (PICTURES | moving).items()
        },
        "trials": tables.tuning_rows(trials, repeats, models),
        "statistics": tables.probe_rows(probes, models),
        "deviating": deviating,
        "log": entries(log),
        "machines": tables.runs_by_machine(machines),
    }
    write_text(Path("plots/report.html"), templates().get_template("report.html").render(content))


if __name__ == "__main__":
    guarded(main)
