"""Write plots/report.html, the whole study on one self-contained page."""

from pathlib import Path
from typing import Any

from chimera.files.artifacts import (
    read_bytes,
    read_csv,
    read_json,
    read_params,
    read_text,
    read_yaml,
    write_text,
)
from chimera.governance.logbook import read_log
from chimera.governance.plan import nearest_block
from chimera.governance.preregistration import read_preregistration, read_sections
from chimera.interface.errors import guarded
from chimera.planning.break_even import read_costs
from chimera.report import interventions, prose, tables
from chimera.report.cost import account
from chimera.report.document import data_uri, git_object, render
from chimera.report.probe_findings import probe_findings
from chimera.report.verdict import beaten_by_baselines, status, verdicts
from chimera.study.endpoints import by_model

# Lines as SVG, which stays sharp; fields as PNG, which is smaller.
DRAWN = "cost fig1_errors training tuning rollout forest parity spectra twonn ib patching rome"
PICTURES = {"fields": "png"} | dict.fromkeys(DRAWN.split(), "svg")
SOURCES = ("params.yaml", "PREREGISTRATION.md", "Deviation_Log.md")


def main() -> None:
    """Run the stage."""
    params, plan, sections = read_params(), read_preregistration(), read_sections()
    models, baseline = params["model_names"], params["baseline"]
    names = ("verify", "parity", "summary", "probes", "stats")
    metrics: dict[str, Any] = {name: read_json(Path(f"metrics/{name}.json")) for name in names}
    stats, summary = metrics["stats"], metrics["summary"]
    (_, deviating), log = nearest_block(plan, params), read_log(Path("Deviation_Log.md"))
    machines = {
        f"{model} {replicate}": read_yaml(Path(f"checkpoints/{model}/{replicate}/provenance.yaml"))
        for model in models
        for replicate in params["replicates"]
    }
    gates = [read_yaml(Path(f"metrics/gates/verify/{g}.yaml")) for g in ("training", "evaluation")]
    trials, repeats = (read_csv(Path(f"tuning/{name}.csv")) for name in ("trials", "repeats"))
    files = [*SOURCES, *(f"metrics/{name}.json" for name in names)]
    tuning = read_json(Path("tuning/metrics.json"))
    content = {
        "title": prose.title(models, baseline),
        "facts": prose.facts(params, stats),
        "question": sections["Question"],
        "seen": sections.get("What had been seen", ""),
        "verdicts": verdicts(stats, summary, plan, models, baseline),
        "status": status(stats, metrics["verify"]["unfrozen"]),
        "cost": account(params, summary, read_costs(metrics["parity"], params["data"]), tuning),
        "baselines": beaten_by_baselines(summary, models),
        "gates": prose.gate_sentences(metrics["verify"], metrics["parity"]),
        "setup": prose.setup(params),
        "length": prose.training_length(repeats, models),
        "limits": prose.limits(params, stats, metrics["probes"]),
        "findings": probe_findings(metrics["probes"]),
        "correlations": prose.correlation_sentence(stats),
        "patching": interventions.patching_finding(metrics["probes"], models),
        "editing": interventions.editing_finding(metrics["probes"], models, stats["replicates"]),
        "params": read_text(Path("params.yaml")),
        "pictures": {
            name: data_uri(read_bytes(Path(f"plots/{suffix}/{name}.{suffix}")), suffix)
            for name, suffix in PICTURES.items()
        },
        "tables": {
            "parity": tables.parity_table(metrics["parity"], models),
            "datasets": tables.datasets_table(params),
            "tuning": tables.tuning_table(trials, repeats, models),
            "contrasts": [
                tables.contrasts_table(rows, plan) for rows in by_model(stats).values() if rows
            ],
            **{name: tables.errors_table(summary, models, name) for name in tables.ERRORS},
            "probes": tables.probe_tables(metrics["probes"], models),
            "correlations": tables.correlations_table(stats),
            "deviations": tables.deviations_table(deviating, log),
            "amendments": tables.amendments_table(log),
            "objects": tables.objects_table({n: git_object(read_bytes(Path(n))) for n in files}),
            "data": tables.hashes_table(gates[0]["sha256"] | gates[1]["sha256"]),
            "machines": tables.machines_table(machines),
        },
    }
    write_text(Path("plots/report.html"), render(content))


if __name__ == "__main__":
    guarded(main)
