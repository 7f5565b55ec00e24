"""What a study will cost, against counts by hand."""

import math
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace
from torch import nn

from chimera.commands import plan
from chimera.data.settings import GeneratedData
from chimera.files.artifacts import read_yaml
from chimera.interface.settings import read_settings
from chimera.planning.composition import compose
from chimera.planning.costs import (
    Law,
    Laws,
    activation_bytes,
    dataset_bytes,
    generation_part,
    network_cost,
    run_parts,
    solver_step_flops,
    training_counts,
)
from chimera.training.loop import VALID_SPACING
from chimera.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
LAWS = Laws("nowhere", Law(1.0, 0.0, 0.0), Law(0.0, 2.0, 0.0), Law(0.0, 3.0, 0.0))


@pytest.fixture(scope="module")
def gpu():
    """Return the parameters of the gpu scale and its sections data and train."""
    params = yaml.safe_load(compose(["scale=gpu"]))
    data = read_settings(params["data"], "data", GeneratedData)
    return params, data, read_settings(params["train"], "train", TrainSettings)


def test_a_step_of_the_solver_is_sixteen_transforms():
    """Half of 5 n log2 n for each: 16 x 5/2 x 64^2 x 12 on 64^2 points."""
    assert solver_step_flops(64) == 16 * 2.5 * 4096 * 12


def test_fields_on_disk_are_three_floats_a_point_and_a_constant_one(gpu):
    _, data, _ = gpu
    ind = data.datasets["cfd2d_ind_v2"]
    assert dataset_bytes(ind, 41, 128) == (512 + 32 + 64) * (41 * 3 + 1) * 128 * 128 * 4


def test_generation_counts_every_step_of_every_trajectory(gpu):
    params, data, _ = gpu
    part = generation_part(data, params["datasets"], LAWS)
    steps = operations = stored = 0
    for name, n in zip(params["datasets"], [608, 32, 32, 32, 32, 32], strict=True):
        regime = data.datasets[name]
        # 0.25 time units a frame: the warm-up on 192 points, its last interval and 40 more on 256.
        for points, intervals in ((192, regime.warm_up / 0.25 - 1), (256, 41)):
            # Stable up to CFL 2 sqrt 2 / (2 pi / 3).
            stable = 2 * math.sqrt(2) * 3 / (points * regime.max_speed)
            taken = n * math.ceil(intervals * math.ceil(0.25 / stable))
            steps += taken
            operations += taken * 80 * points**2 * math.log2(points)
        stored += n * (41 * 3 + 1) * 128**2 * 4
    assert part.number == 768
    assert part.operations == pytest.approx(operations, rel=1e-12)
    assert part.core_seconds == steps  # one second each, by the law above
    assert part.bytes == stored


def test_training_counts_three_passes_a_window_and_the_valid_split(gpu):
    """E1's UNet: the MACs that its design states, at 64^2 and 128^2.

    Its 121,385 parameters are those with biases; batch norm has none in the convolutions before it,
    two for each channel of a block, nor in the transposed ones.
    """
    params, data, train = gpu
    weights = 121_385 - 2 * (2 * (8 + 16 + 32) + 64) - (8 + 16 + 32)
    small = yaml.safe_load(compose([]))["models"]["unet"]
    assert network_cost(small).params == weights
    assert network_cost(small).macs == 36_110_336
    wide = network_cost(small | {"input_shape": [1, 128, 128]})
    assert wide.macs == 4 * 36_110_336
    trained, validated = 50_000 * 32, 50 * 32 * len(range(0, 40, VALID_SPACING))
    assert training_counts(train, valid=32, num_frames=41) == (trained, validated)
    trained_part, evaluated = run_parts("unet", wide, 10, train, 40, data, params["datasets"], LAWS)
    assert trained_part.operations == 10 * (3 * trained + validated) * wide.macs
    assert trained_part.core_seconds == pytest.approx(
        10 * (trained * 2.0 * 3 * wide.macs + validated * 3.0 * wide.macs)
    )
    assert trained_part.bytes == 10 * 4 * weights
    assert evaluated.operations == 10 * (64 + 5 * 32) * (40 + 40) * wide.macs


def test_a_last_short_stretch_is_validated_too(gpu):
    _, _, train = gpu
    assert training_counts(train, valid=1, num_frames=2)[1] == 50
    longer = replace(train, steps=50_001)
    assert training_counts(longer, valid=1, num_frames=2)[1] == 51


def test_activations_are_what_the_backward_pass_keeps():
    """Each convolution's input, GELU's, and the difference from the target that is squared."""
    network = nn.Sequential(nn.Conv2d(1, 6, 1), nn.GELU(), nn.Conv2d(6, 1, 1))
    cells = 8 * 8
    # The first input is a view of its window of two frames; all in four bytes.
    expected = 4 * (2 * cells + 2 * 6 * cells + cells)
    assert activation_bytes(network, (1, 8, 8), "float32") == expected
    # The convolutions and GELU get copies in two bytes; the loss stays in four.
    half = 2 * (cells + 2 * 6 * cells) + 4 * cells
    assert activation_bytes(network, (1, 8, 8), "bfloat16") == half


def test_a_law_adds_its_three_terms():
    assert Law(1.0, 2.0, 3.0).seconds(10.0, 100.0) == 321.0


def test_the_plan_of_a_device_is_macs_over_throughput(gpu, capsys):
    params, data, train = gpu
    plan.main(["scale=gpu", "--throughput", "1e13", "--cores", "4"])
    lines = {line[:24].strip(): line for line in capsys.readouterr().out.splitlines()}
    cost = network_cost(params["models"]["unet"])
    first = 9 * 2 * 16 * 128**2  # the first convolution's, for two channels of conditioning
    cost = cost._replace(macs=cost.macs + first)
    samples, forecasts = training_counts(train, 32, 41)
    macs = 10 * (3 * samples + forecasts) * cost.macs
    assert f"{macs:.3g} MACs" in lines["train unet"]
    assert float(lines["train unet"].split()[-2]) == pytest.approx(macs / 1e13 / 3600, rel=1e-2)
    laws = read_settings(read_yaml(ROOT / "benchmarks/laws.yaml"), "laws", Laws)
    seconds = generation_part(data, params["datasets"], laws).core_seconds / 4
    assert float(lines["generate"].split()[-2]) == pytest.approx(seconds / 3600, rel=1e-2)
    parts = [line for line in lines.values() if "FLOPs" in line or " MACs  " in line]
    assert len(parts) == 5
    hours = sum(float(line.split()[-2]) for line in parts)
    assert float(lines["all"].split()[1]) == pytest.approx(hours, rel=1e-2)


def test_the_plan_counts_what_is_generated_beside_files(capsys):
    plan.main(["scale=smoke"])
    alone = capsys.readouterr().out
    plan.main(["scale=smoke", "data=generated_and_files", "data.root=lab"])
    assert capsys.readouterr().out == alone.replace(
        "probes and report are not", "probes, ood_files and report are not"
    )


def test_a_plan_for_nothing_is_one_sentence():
    with pytest.raises(ValueError, match=r"--throughput is 0\.0, expected more than 0"):
        plan.main(["--throughput", "0"])
    with pytest.raises(ValueError, match=r"--throughput is inf, expected more than 0, and finite"):
        plan.main(["--throughput", "inf"])
    for override, expected in (
        ("replicates=3", "replicates is 3, expected"),
        ("replicates=[]", r"replicates is \[\], expected"),
        ("model_names=[nope]", r"params\.yaml has no 'nope' among unet"),
        ("evaluate.horizon=abc", r"^evaluate\.horizon is 'abc', expected a whole number"),
    ):
        with pytest.raises(ValueError, match=expected):
            plan.main(["scale=smoke", override])
    with pytest.raises(ValueError, match=r"conf/ has no key 'scal"):
        plan.main(["scal=gpu"])


def test_sizes_are_read_at_a_glance():
    assert [plan.readable(size) for size in (999, 1e3, 2.5e9, 7e15)] == [
        "999B", "1.00kB", "2.50GB", "7.00PB",
    ]  # fmt: skip
