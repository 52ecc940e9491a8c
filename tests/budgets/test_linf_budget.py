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


@settings(max_examples=40, deadline=None)
@given(
    epsilon=st.floats(1e-4, 1),
    sigma=st.floats(0, 2),
    shape=st.tuples(st.integers(1, 3), st.just(3), st.integers(1, 9), st.integers(1, 9)),
    weighted=st.booleans(),
    flat=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_projection_is_within_the_budget_and_stays(epsilon, sigma, shape, weighted, flat, seed):
    x0 = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    budget = Linf(epsilon, weights=weights_of(x0.shape, seed) if weighted else None, flat=flat * epsilon)
    x = moved(x0, sigma, seed)
    projected = budget.project(x, x0)
    assert projected.shape == x0.shape
    assert projected.min() >= 0
    assert projected.max() <= 1
    assert (budget.distance(x0, projected) <= 1).all()
    assert torch.equal(budget.project(projected, x0), projected)


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
    mapped = Linf(0.1, weights=weights, flat=0.02 * torch.tensor([0.0, 1.0, 1.0]).view(1, 1, 1, 3)).radius
    torch.testing.assert_close(mapped.flatten(), torch.tensor([0.0, 0.04, 0.1]))


def test_scale_multiplies_the_radius_and_keeps_the_weights():
    weights = weights_of((1, 3, 4, 4))
    budget = Linf(0.1, weights=weights, flat=0.01)
    torch.testing.assert_close(budget.scale(0.5).radius, 0.5 * budget.radius)
    assert budget.scale(100).epsilon == 1
    assert budget.epsilon == 0.1


def test_widening_leaves_flat_colour_as_it_is():
    weights = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    budget = Linf(0.1, weights=weights, flat=0.01)
    torch.testing.assert_close(budget.widen(2).radius.flatten(), torch.tensor([0.01, 0.2]))
    torch.testing.assert_close(budget.widen(0.5).radius.flatten(), torch.tensor([0.01, 0.05]))
    assert budget.widen(100).epsilon == 1


@pytest.mark.parametrize("epsilon", [0, -0.1, 1.01, float("nan")])
def test_radii_that_are_none_are_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        Linf(epsilon)
