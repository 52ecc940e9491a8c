import itertools

import pytest
import torch

from cloak.budgets import STRENGTHS, PerceptualBudget, Visibility, round_to_8_bits, visibility_from
from cloak.budgets.perceptual import delta_e_percentile
from cloak.perceptual import delta_e_2000, lpips
from cloak.testing import toy_picture

CAPS = STRENGTHS["balanced"].caps


@pytest.fixture
def budget():
    return PerceptualBudget(CAPS, metric=lpips("alex"))


def pair(sigma=0.1, batch=1, size=(48, 64)):
    x0 = round_to_8_bits(toy_picture(*size, batch=batch))
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    scale = sigma * torch.arange(1, batch + 1).view(-1, 1, 1, 1)
    return x0, (x0 + scale * noise).clamp(0, 1)


def test_projection_is_within_nearly_all_of_it_and_on_the_line(budget):
    x0, x = pair(batch=2)
    assert (budget.distance(x0, x) > 1).all()
    projected = budget.project(x, x0)
    stored = round_to_8_bits(projected)
    shares = budget.distance(x0, stored)
    assert shares.shape == (2,)
    assert (shares <= 1).all()
    assert (shares > 0.8).all()  # shares step with the 8-bit levels
    for index in range(2):
        scale = (projected - x0)[index].abs().max() / (x - x0)[index].abs().max()
        torch.testing.assert_close(projected[index], x0[index] + scale * (x - x0)[index], rtol=0, atol=1e-5)


def test_projection_is_idempotent(budget):
    x0, x = pair()
    projected = budget.project(x, x0)
    assert torch.equal(budget.project(projected, x0), projected)
    assert torch.equal(budget.project(x0, x0), x0)


@pytest.mark.parametrize(
    ("caps", "which"),
    [
        (Visibility(lpips=1e-3, delta_e=100, linf=1), "lpips"),
        (Visibility(lpips=10, delta_e=1.5, linf=1), "delta_e"),
        (Visibility(lpips=10, delta_e=100, linf=5 / 255), "linf"),
    ],
)
def test_each_of_the_three_caps_binds(caps, which):
    budget = PerceptualBudget(caps, metric=lpips("alex"))
    x0, x = pair(0.02)
    stored = round_to_8_bits(budget.project(x, x0))
    used = visibility_from(x0, budget.metric)(stored)
    assert used.share_of(caps) <= 1
    assert getattr(used, which) / getattr(caps, which) == used.share_of(caps)
    assert getattr(used, which) > 0.6 * getattr(caps, which)


def test_caps_hold_for_what_is_stored():
    """Storing may add distance of its own."""
    coarse = PerceptualBudget(
        Visibility(lpips=10, delta_e=100, linf=20 / 255),
        metric=lpips("alex"),
        realise=lambda x: (x * 15).round() / 15,  # up to 8.5 / 255 away
    )
    x0, x = pair()
    projected = coarse.project(x, x0)
    assert (coarse.realise(projected) - x0).abs().max() <= 20 / 255
    assert (projected - x0).abs().max() > 5 / 255


def test_distance_is_the_share_of_the_tightest_cap(budget):
    x0, x = pair(0.02)
    used = Visibility(
        lpips=lpips("alex").measure(x0, x),
        delta_e=delta_e_percentile(x0, x),
        linf=float((x - x0).abs().max()),
    )
    expected = max(used.lpips / CAPS.lpips, used.delta_e / CAPS.delta_e, used.linf / CAPS.linf)
    assert float(budget.distance(x0, x)) == pytest.approx(expected, rel=1e-6)
    assert budget.distance(x0, x0) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (30, 41)])
def test_percentile_of_colour_differences_is_an_upper_one(size, monkeypatch):
    monkeypatch.setattr("cloak.budgets.perceptual._ROWS", 7)  # several bands
    x0, x = pair(size=size)
    values = delta_e_2000(x0, x).flatten()
    at_95 = delta_e_percentile(x0, x)
    assert at_95 in values.tolist()
    assert float((values <= at_95).float().mean()) >= 0.95
    assert float((values < at_95).float().mean()) <= 0.95 + 1e-6
    assert delta_e_percentile(x0, x, percentile=1.0) == values.max()


def test_a_few_pixels_may_change_colour_but_not_many():
    x0 = torch.full((1, 3, 20, 20), 0.5)
    few, many = x0.clone(), x0.clone()
    few[..., 0, :10] = 1  # 2.5 % of the pixels
    many[..., :2, :] = 1  # 10 %
    assert delta_e_percentile(x0, few) == 0
    assert delta_e_percentile(x0, many) > 10


def test_strengths_grow_and_leave_room_under_their_caps():
    levels = [STRENGTHS[name] for name in ("subtle", "balanced", "strong")]
    for weaker, stronger in itertools.pairwise(levels):
        assert weaker.caps.share_of(stronger.caps) < 1
        for place in ("flat", "grain", "texture"):
            assert getattr(weaker, place).channel < getattr(stronger, place).channel
            assert getattr(weaker, place).luma < getattr(stronger, place).luma
    for level in levels:
        assert 0 < level.flat.channel < level.grain.channel < level.texture.channel < level.caps.linf
        for bound in (level.flat, level.grain, level.texture):
            assert 0 < bound.luma <= bound.channel


def test_a_picture_may_move_by_the_bound_of_each_kind_of_place():
    generator = torch.Generator().manual_seed(0)
    x = torch.full((1, 3, 48, 192), 0.5)
    x[..., 64:128] += torch.randn(1, 1, 48, 64, generator=generator) * 4 / 255  # grain
    x[..., 128:] = torch.rand(1, 1, 48, 64, generator=generator)
    level = STRENGTHS["balanced"]
    ball = level.ball(x)
    for start, bound in ((8, level.flat), (88, level.grain), (160, level.texture)):
        patch = (..., slice(16, 32), slice(start, start + 16))
        assert float(ball.radius[patch].mean()) == pytest.approx(bound.channel, rel=0.25)
        assert float(ball.luma[patch].mean()) == pytest.approx(bound.luma, rel=0.25)
    opacity = torch.ones(1, 1, 48, 192)
    opacity[..., :96] = 0
    clipped = level.ball(x, opacity=opacity)
    assert float(clipped.radius[..., :96].max()) == 0
    assert torch.equal(clipped.radius[..., 96:], ball.radius[..., 96:])
