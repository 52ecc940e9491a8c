import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cloak.budgets import Linf
from cloak.testing import toy_picture

EXACT = 1e-6


def moved(x0, sigma, seed=1):
    return x0 + sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed))


def weights_of(shape, seed=2):
    return torch.rand(shape[0], 1, *shape[2:], generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.tuples(st.floats(1e-4, 1), st.floats(0, 1)),
    sigma=st.floats(0, 2),
    shape=st.tuples(st.integers(1, 3), st.just(3), st.integers(1, 9), st.integers(1, 9)),
    weighted=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_projection_is_within_the_budget_and_stays(bounds, sigma, shape, weighted, seed):
    x0 = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    weights = weights_of(x0.shape, seed) if weighted else torch.ones(1, 1, 1, 1)
    budget = Linf(bounds[0] * weights, luma=bounds[0] * bounds[1] * weights)
    x = moved(x0, sigma, seed)
    projected = budget.project(x, x0)
    assert projected.shape == x0.shape
    assert projected.min() >= 0
    assert projected.max() <= 1
    assert (budget.distance(x0, projected) <= 1).all()
    torch.testing.assert_close(budget.project(projected, x0), projected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("levels", [1, 2, 4, 6, 8, 10, 16])
def test_a_change_by_the_whole_radius_is_within_it(levels):
    x0 = (toy_picture() * 215).round().clamp(20, 215) / 255
    assert Linf(levels / 255).distance(x0, x0 + levels / 255) == pytest.approx(1, abs=1e-3)
    assert Linf(levels / 255).distance(x0, x0 + levels / 255) <= 1
    assert Linf(levels / 255).distance(x0, x0 + (levels + 1) / 255) > 1


def test_distance_is_the_largest_share_of_each_picture():
    x0 = torch.full((2, 3, 4, 5), 0.5)
    weights = torch.ones(2, 1, 4, 5)
    weights[1, :, 2, 3] = 0.25
    x = x0.clone()
    x[0, 1, 0, 0] += 0.05
    x[1, 2, 2, 3] -= 0.05
    shares = Linf(0.1 * weights).distance(x0, x)
    torch.testing.assert_close(shares, torch.tensor([0.5, 2.0]), rtol=1e-4, atol=0)


def test_projection_leaves_what_is_within():
    x0 = toy_picture(batch=2)
    x = (x0 + 0.01).clamp(0, 1)
    assert torch.equal(Linf(0.02).project(x, x0), x)


def test_weight_zero_forbids_every_change():
    x0 = toy_picture(8, 8)
    weights = torch.ones(1, 1, 8, 8)
    weights[..., :4] = 0
    budget = Linf(0.1 * weights)
    projected = budget.project(moved(x0, 0.3), x0)
    assert torch.equal(projected[..., :4], x0[..., :4])
    assert not torch.equal(projected[..., 4:], x0[..., 4:])
    assert budget.distance(x0, projected) <= 1
    assert budget.distance(x0, x0 + 1 / 255 * (1 - weights)) > 1


def test_luma_can_be_bounded_more_tightly_than_colour():
    x0 = torch.full((1, 3, 2, 2), 0.5)
    budget = Linf(0.04, luma=0.01)
    grey = budget.project(x0 + 0.04, x0)
    torch.testing.assert_close(grey, x0 + 0.01)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    tint = torch.tensor([0.0, -0.04 * 0.114 / 0.587, 0.04]).view(1, 3, 1, 1)  # of equal luma
    torch.testing.assert_close(budget.project(x0 + tint, x0), x0 + tint)
    green = budget.project(x0 + torch.tensor([-0.04, 0.04, 0.0]).view(1, 3, 1, 1), x0) - x0
    torch.testing.assert_close((green * luma).sum(1), torch.full((1, 2, 2), 0.01))


@pytest.mark.parametrize("epsilon", [0, -0.1, 1.01, float("nan")])
def test_radii_that_are_none_are_refused(epsilon):
    with pytest.raises(ValueError, match="radius"):
        Linf(epsilon)
