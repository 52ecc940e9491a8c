import pytest
import torch
from pydantic import ValidationError

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf, round_to_8_bits
from cloak.objectives import DecodedUntargeted
from cloak.testing import toy_picture, toy_surrogate

OPTIMISERS = ["sign", "adam"]
RADIUS = 8 / 255


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def attack(epsilon=RADIUS, weights=1.0, seed=0, **settings):
    config = PGDConfig(**{"steps": 6, **settings})
    return PGD(Linf(epsilon * weights), config=config, generator=seeded(seed))


def picture(height=40, width=48, batch=2):
    return round_to_8_bits(toy_picture(height, width, batch=batch))


def brightness(x):
    return x.mean((1, 2, 3))


def weights_of(x, seed=3):
    return torch.rand(x.shape[0], 1, *x.shape[2:], generator=seeded(seed))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_loss_down_and_budget_held_on_an_8_bit_picture(optimiser, weighted):
    x0 = picture()
    before = x0.clone()
    weights = weights_of(x0) if weighted else 1.0
    loss = DecodedUntargeted(toy_surrogate(), x0)
    state = torch.random.get_rng_state()
    x = attack(weights=weights, optimiser=optimiser)(x0, loss)
    assert (x.shape, x.dtype, x.requires_grad) == (x0.shape, torch.float32, False)
    assert torch.equal(x, round_to_8_bits(x))
    assert 0 <= x.min() <= x.max() <= 1
    assert (Linf(RADIUS * weights).distance(x0, x) <= 1).all()
    with torch.no_grad():
        assert (loss(x) < loss(x0) - 1e-3).all()
    assert torch.equal(x, attack(weights=weights, optimiser=optimiser)(x0, loss))
    assert not torch.equal(x, attack(weights=weights, optimiser=optimiser, seed=1)(x0, loss))
    assert torch.equal(x0, before)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_more_steps_do_better(optimiser):
    x0 = picture(batch=1)
    loss = DecodedUntargeted(toy_surrogate(), x0)
    few, many = (float(loss(attack(optimiser=optimiser, steps=steps)(x0, loss))) for steps in (2, 16))
    assert many < few


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_steps_tell_where_it_stands(optimiser):
    x0 = picture()
    steps = list(attack(optimiser=optimiser, steps=5).steps(x0, brightness))
    assert [step.index for step in steps] == [1, 2, 3, 4, 5]
    assert {step.total for step in steps} == {5}
    assert steps[-1].loss < steps[0].loss
    for step in steps:
        assert not step.x.requires_grad
        assert step.distance == float((step.x - x0).abs().max())
        assert 0 < step.distance <= RADIUS + 1e-6
        assert 0 <= step.x.min() <= step.x.max() <= 1
    assert steps[0].x is not steps[1].x


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_an_easy_optimum_is_reached_everywhere(optimiser):
    x0 = picture().clamp(0.1, 0.9)
    x0 = round_to_8_bits(x0)
    x = attack(optimiser=optimiser, steps=12)(x0, brightness)
    torch.testing.assert_close(x, x0 - RADIUS, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (9, 9), (33, 47)])
def test_any_size(size):
    x0 = picture(*size)
    x = attack(smoothing=2.0)(x0, brightness)
    assert x.shape == x0.shape
    assert (x < x0).any()


def test_a_gradient_of_zero_moves_nothing_but_the_start():
    x0 = picture()
    x = attack()(x0, lambda p: 0 * brightness(p))
    assert x.isfinite().all()
    assert (x - x0).abs().max() <= RADIUS


@pytest.mark.parametrize("levels", [0.2, 0.4999, 0.7, 1, 1.2, 2, 4, 6.5, 10])
@pytest.mark.parametrize("kind", ["one", "random", "tiny", "holes"])
def test_finish_keeps_the_budget_and_all_of_it_that_8_bits_allow(levels, kind):
    x0 = picture()
    weights = {
        "one": torch.ones(2, 1, 40, 48),
        "random": weights_of(x0),
        "tiny": torch.full((2, 1, 40, 48), 1e-4),
        "holes": (weights_of(x0) > 0.5).float(),
    }[kind]
    budget = Linf(levels / 255 * weights)
    far = x0 + torch.randn(x0.shape, generator=seeded(5)).sign()
    x = attack(levels / 255, weights=weights).finish(x0, far)
    assert torch.equal(x, round_to_8_bits(x))
    assert (budget.distance(x0, x) <= 1).all()
    inside = (x0 > budget.radius) & (x0 < 1 - budget.radius)
    allowed = ((levels + 1e-4) * weights).floor().expand_as(x0)
    torch.testing.assert_close(((x - x0).abs() * 255).round()[inside], allowed[inside])


def test_finish_leaves_an_8_bit_picture_that_is_within():
    x0 = picture()
    x = round_to_8_bits(x0 + 3 / 255)
    assert torch.equal(attack().finish(x0, x), x)
    assert torch.equal(attack().finish(x0, x0), x0)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_radius_below_one_level_gives_the_picture_back(optimiser):
    x0 = picture()
    assert torch.equal(attack(0.4 / 255, optimiser=optimiser)(x0, brightness), x0)


def test_no_steps_give_the_picture_back():
    x0 = picture()
    assert list(attack(steps=0).steps(x0, brightness)) == []
    assert torch.equal(attack(steps=0)(x0, brightness), x0)


@pytest.mark.parametrize("patience", [1, 3])
def test_a_plateau_ends_it_early(patience):
    steps = list(attack(steps=50, patience=patience).steps(picture(), lambda p: 0 * brightness(p) + 2))
    assert len(steps) == patience + 1
    assert {step.total for step in steps} == {50}


def test_progress_is_no_plateau():
    values = iter(range(100, 0, -1))
    steps = attack(steps=20, patience=1).steps(picture(), lambda p: 0 * brightness(p) + next(values))
    assert len(list(steps)) == 20


def test_without_patience_it_runs_to_the_end():
    assert len(list(attack(steps=9).steps(picture(), lambda p: 0 * brightness(p)))) == 9


def test_closing_the_generator_stops_the_work():
    calls = []

    def counted(p):
        calls.append(1)
        return brightness(p)

    steps = attack(steps=50).steps(picture(), counted)
    next(steps)
    next(steps)
    steps.close()
    assert len(calls) == 2
    assert list(steps) == []


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        (torch.rand(3, 8, 8), r"x0 must be \(B, 3, H, W\)"),
        (torch.rand(1, 4, 8, 8), r"x0 must be \(B, 3, H, W\)"),
        (torch.full((1, 3, 8, 8), 255.0), r"x0 must lie in \[0, 1\]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "x0 must be floating point"),
    ],
)
def test_what_is_no_picture_is_refused(x0, message):
    with pytest.raises(ValueError, match=message):
        attack()(x0, brightness)


@pytest.mark.parametrize(
    "settings", [{"steps": -1}, {"momentum": 1.0}, {"travel": 0}, {"optimiser": "lbfgs"}, {"smoothing": 9}, {"more": 1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        PGDConfig(**settings)
