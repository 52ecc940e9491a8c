"""The learned remover on a cloak whose form is known, and on none at all."""

import pytest
import torch
from torch import Tensor

from cloak.errors import UsageError
from cloak.testing import toy_picture
from cloak_eval.removal import RemoverConfig, train_remover

SMALL = RemoverConfig(steps=100, batch=4, side=32, width=8)


def pictures(count: int, seed: int) -> list[Tensor]:
    return [toy_picture(50, 61, seed=seed + index)[0] for index in range(count)]


def with_grating(picture: Tensor) -> Tensor:
    """The picture with thin diagonal waves of 6/255, as an 8-bit file."""
    height, width = picture.shape[-2:]
    wave = torch.sin(0.8 * (torch.arange(width)[None] + 2 * torch.arange(height)[:, None]))
    return ((picture + 6 / 255 * wave).clamp(0, 1) * 255).round() / 255


def order(first: list[float], second: list[float]) -> float:
    """Share of pairs in which the first is larger: the area under the curve."""
    return sum(a > b for a in first for b in second) / (len(first) * len(second))


def squares(first: list[Tensor], second: list[Tensor]) -> float:
    return sum(float((a - b).pow(2).mean()) for a, b in zip(first, second, strict=True))


def test_a_fixed_pattern_is_learnt_removed_and_detected() -> None:
    lessons, unseen = pictures(6, 0), pictures(8, 100)
    remover = train_remover(lessons, [with_grating(each) for each in lessons], SMALL)
    cloaked = [with_grating(each) for each in unseen]
    added = squares(cloaked, unseen)
    assert squares([remover.clean(each[None])[0] for each in cloaked], unseen) < 0.3 * added
    assert squares([remover.clean(each[None])[0] for each in unseen], unseen) < 0.2 * added
    assert order([remover.suspicion(each) for each in cloaked], [remover.suspicion(each) for each in unseen]) > 0.95


def test_where_nothing_was_added_nothing_is_found() -> None:
    lessons = pictures(4, 0)
    remover = train_remover(lessons, lessons, SMALL.model_copy(update={"steps": 20}))
    first, second = ([remover.suspicion(each) for each in pictures(20, seed)] for seed in (100, 200))
    assert 0.25 < order(first, second) < 0.75  # chance: 0.5 with a standard error of 0.09
    picture = pictures(1, 300)[0]
    assert (remover.clean(picture[None])[0] - picture).abs().max() < 0.01


def test_the_same_pairs_give_the_same_network_and_no_global_seed_is_touched() -> None:
    lessons = pictures(2, 0)
    cloaked = [with_grating(each) for each in lessons]
    config = SMALL.model_copy(update={"steps": 2})
    before = torch.random.get_rng_state()
    with torch.no_grad():  # as within a metric
        first, second = (train_remover(lessons, cloaked, config).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("cloaked", [[], [torch.rand(3, 40, 40)]])
def test_pairs_have_to_match(cloaked: list[Tensor]) -> None:
    with pytest.raises(UsageError, match="pairs of equal size"):
        train_remover(pictures(1, 0), cloaked, SMALL)
