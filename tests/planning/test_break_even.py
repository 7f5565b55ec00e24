"""When a network has cost less than a solver of equal error, against counts by hand."""

import pytest

from chimera.interface.errors import InputError
from chimera.planning.break_even import COST_FILE, Cost, break_even, equal_error, read_costs

HEADER = (
    "device,name,macs,num_points,simulated_points,frame_interval,"
    "ms_per_frame,ms_per_frame_batch,ms_per_training_sample"
)
ROWS = (
    "cpu,unet,1000,,,,7.0,2.0,9.0",
    "cpu,fractal_unet,990,,,,8.0,3.0,11.0",
    "cpu,solver_48,,64,128,0.25,5.0,1.5,",
    "gpu,unet,1000,,,,1.0,0.5,0.25",
)
PARITY = {"tolerance": 0.05, "unet": {"macs": 1000}, "fractal_unet": {"macs": 990}}
DATA = {"num_points": 64, "simulated_points": 128, "frame_interval": 0.25, "seed": 0}


@pytest.mark.parametrize(
    ("upfront", "network", "solver", "expected"),
    [
        (1000.0, 2.0, 6.0, 251),  # at 250 both have cost 1500: equal is not less
        (999.0, 2.0, 6.0, 250),  # 1499 against 1500
        (0.0, 2.0, 6.0, 1),
        (0.0, 6.0, 6.0, None),
        (1.0, 7.0, 6.0, None),
    ],
)
def test_break_even_is_the_first_number_at_which_the_network_has_cost_less(
    upfront, network, solver, expected
):
    found = break_even(upfront, network, solver)
    assert found == expected
    cheaper = [n for n in range(1, 1000) if upfront + n * network < n * solver]
    assert (cheaper[0] if cheaper else None) == found


def test_the_solver_of_equal_error_is_the_cheapest_that_errs_no_more():
    errors, costs = {"a": 0.3, "b": 0.1, "c": 0.0}, {"a": 1.0, "b": 2.0, "c": 1.5}
    assert equal_error(errors, costs, 0.3) == "a"
    assert equal_error(errors, costs, 0.29) == "c"
    assert equal_error({"a": 0.3}, costs, 0.29) is None


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Return a function that writes plots/cost.csv."""
    monkeypatch.chdir(tmp_path)
    COST_FILE.parent.mkdir()

    def written(*rows):
        COST_FILE.write_text("\n".join((HEADER, *rows)) + "\n")

    return written


def test_costs_are_read_by_device(table):
    table(*ROWS)
    assert read_costs(PARITY, DATA) == {
        "cpu": {
            "unet": Cost(7.0, 2.0, 9.0),
            "fractal_unet": Cost(8.0, 3.0, 11.0),
            "solver_48": Cost(5.0, 1.5, 0.0),
        },
        "gpu": {"unet": Cost(1.0, 0.5, 0.25)},
    }


def test_a_row_of_another_network_or_flow_is_left_out(table):
    assert read_costs(PARITY, DATA) == {}, "there is no file"
    table(*ROWS)
    larger = PARITY | {"unet": {"macs": 1001}}
    assert set(read_costs(larger, DATA)["cpu"]) == {"fractal_unet", "solver_48"}
    assert set(read_costs({"unet": PARITY["unet"]}, DATA)["cpu"]) == {"unet", "solver_48"}
    for key in ("num_points", "simulated_points", "frame_interval"):
        other = DATA | {key: 32}
        assert set(read_costs(PARITY, other)["cpu"]) == {"unet", "fractal_unet"}
    own = {"source": "well"}
    assert set(read_costs(PARITY, own)["cpu"]) == {"unet", "fractal_unet"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("cpu,unet,many,,,,7.0,2.0,9.0", " has the row .*`make cost` writes"),
        ("cpu,unet", ": line 3 has 2 values, expected 9 as the header has"),
        ("<<<<<<< HEAD", ": line 3 has 1 values, expected 9 as the header has"),
    ],
)
def test_a_table_that_is_none_is_one_sentence(table, row, expected):
    table(ROWS[0], row)
    with pytest.raises(InputError, match=rf"plots/cost\.csv{expected}"):
        read_costs(PARITY, DATA)
