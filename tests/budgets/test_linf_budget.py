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
    bounds=st.tuples(st.floats(1e-4, 1), st.floats(0, 1), st.floats(0, 1)),
    sigma=st.floats(0, 2),
    shape=st.tuples(st.integers(1, 3), st.just(3), st.integers(1, 9), st.integers(1, 9)),
    weighted=st.booleans(),
    recentre=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_projection_is_within_the_budget_and_stays(bounds, sigma, shape, weighted, recentre, seed):
    x0 = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    weights = weights_of(x0.shape, seed) if weighted else None
    epsilon, flat, flat_luma = bounds[0], bounds[0] * bounds[1], bounds[0] * bounds[1] * bounds[2]
    budget = Linf(epsilon, weights=weights, flat=flat, flat_luma=flat_luma, recentre=recentre)
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
    shares = Linf(0.1, weights=weights).distance(x0, x)
    torch.testing.assert_close(shares, torch.tensor([0.5, 2.0]), rtol=1e-4, atol=0)


def test_projection_leaves_what_is_within():
    x0 = toy_picture(batch=2)
    x = (x0 + 0.01).clamp(0, 1)
    assert torch.equal(Linf(0.02).project(x, x0), x)


def test_weight_zero_forbids_every_change():
    x0 = toy_picture(8, 8)
    weights = torch.ones(1, 1, 8, 8)
    weights[..., :4] = 0
    budget = Linf(0.1, weights=weights)
    projected = budget.project(moved(x0, 0.3), x0)
    assert torch.equal(projected[..., :4], x0[..., :4])
    assert not torch.equal(projected[..., 4:], x0[..., 4:])
    assert budget.distance(x0, projected) <= 1
    assert budget.distance(x0, x0 + 1 / 255 * (1 - weights)) > 1


def test_the_radius_lies_between_that_of_flat_colour_and_epsilon():
    weights = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    radius = Linf(0.1, weights=weights, flat=0.02).radius
    torch.testing.assert_close(radius.flatten(), torch.tensor([0.02, 0.04, 0.1]))


def test_on_flat_colour_luma_moves_less_than_colour():
    x0 = torch.full((1, 3, 2, 2), 0.5)
    budget = Linf(0.1, weights=torch.zeros(1, 1, 1, 1), flat=0.04, flat_luma=0.01)
    grey = budget.project(x0 + 0.04, x0)
    torch.testing.assert_close(grey, x0 + 0.01)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    tint = torch.tensor([0.0, -0.04 * 0.114 / 0.587, 0.04]).view(1, 3, 1, 1)  # of equal luma
    torch.testing.assert_close(budget.project(x0 + tint, x0), x0 + tint)
    green = budget.project(x0 + torch.tensor([-0.04, 0.04, 0.0]).view(1, 3, 1, 1), x0) - x0
    torch.testing.assert_close((green * luma).sum(1), torch.full((1, 2, 2), 0.01))


def test_recentred_on_white_the_room_above_is_given_below():
    x0 = torch.tensor([1.0, 0.995, 0.5, 0.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    budget = Linf(0.01, recentre=True)
    lowest, highest = budget.project(x0 - 1, x0) - x0, budget.project(x0 + 1, x0) - x0
    torch.testing.assert_close(lowest[0, 0, 0], torch.tensor([-0.02, -0.015, -0.01, 0.0]))
    torch.testing.assert_close(highest[0, 0, 0], torch.tensor([0.0, 0.005, 0.01, 0.02]))
    assert budget.distance(x0, x0 + lowest) == pytest.approx(1, abs=1e-3)


def test_what_may_not_change_at_a_place_does_not():
    x0 = toy_picture(8, 8)
    allowed = torch.ones(1, 1, 8, 8)
    allowed[..., :4] = 0
    projected = Linf(0.1, flat=0.02, flat_luma=0.01, allowed=allowed).project(moved(x0, 0.3), x0)
    assert torch.equal(projected[..., :4], x0[..., :4])
    assert not torch.equal(projected[..., 4:], x0[..., 4:])


@pytest.mark.parametrize("epsilon", [0, -0.1, 1.01, float("nan")])
def test_radii_that_are_none_are_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        Linf(epsilon)
