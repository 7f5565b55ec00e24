"""The tables that tests draw have the columns that the study writes."""

from pathlib import Path

import numpy as np
import pytest
import torch

import networks
from chimera.files.artifacts import read_params
from chimera.models import build_model
from chimera.probes.common.registry import probe_measure, probe_settings
from chimera.probes.common.subject import Subject
from chimera.study.tables import DIGESTS, digest
from figures import tables

PROBES = read_params(Path(__file__).parents[2] / "params.yaml")["probes"]
SHORTER = {
    "ib": {"largest_samples": 200, "shuffles": 100, "controls": 1},
    "patching": {"pairs": 2},
    "rome": {"pairs": 2, "iterations": 1},
    "spectra": {"frames": [1, 3]},
    "twonn": {"largest_samples": 200, "bootstraps": 2},
}


@pytest.fixture(scope="module")
def subject():
    """Return a small network beside white noise, of which every probe makes rows."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 10, 6, 1, 32, 32, generator=generator)
    flows = dict(zip(("ind", "ood_decay"), noise, strict=True))
    torch.manual_seed(0)
    return Subject(
        build_model(networks.UNET | {"input_shape": [1, 32, 32]}),
        flows,
        torch.zeros(1),
        torch.ones(1),
        1.0,
    )


@pytest.mark.parametrize("name", tables.PROBES)
def test_columns_are_those_that_the_probe_returns(name, subject):
    settings = probe_settings(name, PROBES[name] | SHORTER[name])
    found = probe_measure(name)(subject, settings, np.random.default_rng(0), list)
    assert set(tables.PROBES[name]()[0]) == {"model", "replicate", *found.rows[0]}


@pytest.mark.parametrize("name", DIGESTS)
def test_small_tables_are_made_of_columns_that_the_full_ones_have(name):
    rows = {"training": tables.training(), "rollout": tables.rollout(lambda *_: 0.1)}
    rows |= {probe: table() for probe, table in tables.PROBES.items()}
    kept = DIGESTS[name]
    small = digest(rows[name], kept)
    assert small
    assert set(small[0]) == {*kept.keys, *kept.values}


def test_a_small_table_holds_the_mean_over_replicates_of_the_rows_that_it_keeps():
    full = tables.twonn()
    small = digest(full, DIGESTS["twonn"])
    cells = {(row["model"], row["axis"], row["site"]) for row in full}
    assert len(small) == len(cells)
    for row in small:
        same = [
            float(other["dimension"])
            for other in full
            if other["estimator"] == "linear"
            and all(other[key] == row[key] for key in ("model", "axis", "site"))
        ]
        assert len(same) == 2
        assert row["dimension"] == pytest.approx(sum(same) / 2)
