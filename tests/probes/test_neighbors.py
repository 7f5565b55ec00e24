"""Distances to neighbours against float64 brute force, where a product of matrices cancels."""

import numpy as np
import pytest
import torch

from chimera.interface.errors import InputError
from chimera.probes.twonn import neighbors
from chimera.probes.twonn.neighbors import neighbor_distances


def brute_force(points, num_neighbors):
    points = points.double()
    differences = [torch.linalg.vector_norm(points - point, dim=1) for point in points]
    distances = torch.stack(differences)
    distances.fill_diagonal_(torch.inf)
    return distances.sort(dim=1).values[:, :num_neighbors]


def gaussian(n=300, D=40):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(0))


def clusters(distance):
    points = gaussian()
    points[::2, 0] += distance
    return points


def outlier_channel():
    points = gaussian()
    points[:, 3] *= 1e5
    return points


def saturated_channel():
    points = gaussian()
    points[:, 3] = 1e5 * points[:, 3].sign()
    return points


def outlier_point():
    points = gaussian()
    points[7] *= 1e6
    return points


def curve():
    t = torch.linspace(0, 1, 300, dtype=torch.float64)[:, None] ** 2
    return torch.cos(t * torch.arange(1, 41) / 10).float()


# Name: points, and whether float32 products suffice for every row.
CASES = {
    "gaussian": (gaussian(), True),
    "offset": (gaussian() + 100, True),
    "tiny": (gaussian() * 1e-30, True),
    "huge": (gaussian() * 1e30, True),
    "float64": (gaussian().double() + 1e6, True),
    "one dimension": (gaussian(D=1), True),
    "lattice": (torch.cartesian_prod(*[torch.arange(6.0)] * 3), True),
    "distant clusters": (clusters(1e4), False),
    "outlier channel": (outlier_channel(), True),
    "saturated channel": (saturated_channel(), False),
    "outlier point": (outlier_point(), False),
    "curve": (curve(), False),
    "duplicates": (gaussian().repeat(2, 1), True),
}


@pytest.mark.parametrize("num_neighbors", [2, 32])
@pytest.mark.parametrize("case", CASES)
def test_brute_force(case, num_neighbors):
    points, _ = CASES[case]
    found = neighbor_distances(points, num_neighbors)
    expected = brute_force(points, num_neighbors)
    # Differences of float32 numbers are rounded once, by 2^-24 of themselves.
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=0.0)


@pytest.mark.parametrize("case", CASES)
def test_certain_rows_are_right_and_the_others_are_redone(case):
    points, suffices = CASES[case]
    rows = torch.arange(len(points))
    found, certain = neighbors._by_product(points, rows, 2, torch.float32)
    torch.testing.assert_close(found[certain], brute_force(points, 2)[certain], rtol=1e-7, atol=0.0)
    if suffices:
        assert certain.float().mean() > 0.9
    else:
        assert not certain.all()


def test_without_candidates_the_product_would_cancel():
    """The case for the certificate: with an offset of 100 float32 products lose all digits."""
    points = curve() + 100
    squares = points.square().sum(dim=1)
    product = (squares[:, None] + squares - 2 * points @ points.T).clamp(min=0).sqrt()
    product.fill_diagonal_(torch.inf)
    nearest = product.min(dim=1).values
    exact = brute_force(points, 1)[:, 0]
    assert ((nearest - exact).abs() > 0.5 * exact).float().mean() > 0.5
    torch.testing.assert_close(neighbor_distances(points, 1)[:, 0], exact, rtol=1e-7, atol=0.0)


def test_beyond_float64_products_all_differences_are_taken():
    points = gaussian(60, 5).double()
    points[::2, 0] += 2.0**40  # the eps of 21 roundings is 2e-15, times 2^80 far above 1
    rows = torch.arange(60)
    assert not neighbors._by_product(points, rows, 2, torch.float64)[1].any()
    torch.testing.assert_close(
        neighbor_distances(points, 2), brute_force(points, 2), rtol=1e-12, atol=0.0
    )


def test_lower_bounds_lie_below_the_distances():
    """The bound of the docstring, term by term, for products in float32."""
    for points in (gaussian(), outlier_channel(), clusters(1e4), curve()):
        D = points.shape[1]
        centred = points - points.mean(dim=0)
        unit = (D + 16) * 2.0**-24
        squares = centred.double().square().sum(dim=1)
        approximate = squares[:, None] + squares - 2 * (centred @ centred.T).double()
        error = (approximate - torch.cdist(points.double(), points.double()).square()).abs()
        assert (error <= unit / (1 - unit) * (squares[:, None] + squares)).all()


def test_reduced_precision_products_are_not_trusted():
    points = saturated_channel()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        found = neighbor_distances(points, 4)
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(found, brute_force(points, 4), rtol=1e-7, atol=0.0)


def test_blocks_do_not_matter(monkeypatch):
    whole = neighbor_distances(gaussian(), 5)
    mixed = [neighbor_distances(clusters(1e4), 5)]
    monkeypatch.setattr(neighbors, "BLOCK_POINTS", 7)
    monkeypatch.setattr(neighbors, "DIFFERENCE_ENTRIES", 40 * 12 * 3)
    torch.testing.assert_close(neighbor_distances(gaussian(), 5), whole, rtol=1e-12, atol=0.0)
    mixed.append(neighbor_distances(clusters(1e4), 5))  # float64 too
    torch.testing.assert_close(mixed[1], mixed[0], rtol=1e-12, atol=0.0)


def test_some_rows_alone():
    points, rows = gaussian(), torch.tensor([3, 17, 250])
    found, certain = neighbors._by_product(points, rows, 4, torch.float64)
    assert certain.all()
    torch.testing.assert_close(found, brute_force(points, 4)[rows], rtol=1e-7, atol=0.0)


def test_all_others_are_found():
    points = gaussian(12, 3)
    torch.testing.assert_close(
        neighbor_distances(points, 11), brute_force(points, 11), rtol=1e-7, atol=0.0
    )


@pytest.mark.parametrize("num_neighbors", [0, 5])
def test_bad_input_is_one_sentence(num_neighbors):
    with pytest.raises(InputError, match=rf"{num_neighbors} neighbours of 5 points"):
        neighbor_distances(torch.from_numpy(np.eye(5)), num_neighbors)
