import pytest
import torch

from cloak.attacks import PGD, Descent, PGDConfig, UnlikeAloneError, descend
from cloak.budgets import Linf
from cloak.inquiry import Inquiring, answered, inquire
from cloak.testing import toy_picture


class Through(Inquiring):
    """Asks a function and takes the mean of its answer."""

    def __init__(self, function, weight=1.0):
        self.function, self.weight = function, weight

    def inquire(self, x):
        seen = yield self.function, x
        return self.weight * seen.mean((1, 2, 3))


def doubled(x):
    return 2 * x


def descents(losses, **settings):
    config = PGDConfig(**{"steps": 5, **settings})
    attacks = [PGD(Linf(8 / 255), config=config, generator=torch.Generator().manual_seed(0)) for _ in losses]
    return [Descent(attack, toy_picture(24, 20).roll(place, -1), loss) for place, (attack, loss) in
            enumerate(zip(attacks, losses, strict=True))]  # fmt: skip


def test_equal_questions_are_put_once_and_others_apart():
    calls = []

    def told(x):
        calls.append(tuple(x.shape))
        return 3 * x

    pictures = [torch.rand(1, 3, 8, 8), torch.rand(2, 3, 8, 8), torch.rand(1, 3, 8, 9), torch.rand(1, 3, 8, 8)]
    losses = [Through(told), Through(told), Through(told), Through(told, 2.0)]
    found = answered([inquire(loss, x) for loss, x in zip(losses, pictures, strict=True)])
    assert sorted(calls) == [(1, 3, 8, 9), (2, 3, 8, 8), (2, 3, 8, 8)]
    for loss, x, value in zip(losses, pictures, found, strict=True):
        assert torch.equal(value, loss(x))
    assert answered([inquire(lambda x: x.sum((1, 2, 3)), torch.ones(1, 3, 2, 2))])[0] == 12  # one that does not ask


def test_they_go_as_each_alone_and_end_when_they_do():
    losses = [
        Through(doubled),
        Through(doubled, 0.0),
        Through(doubled, -1.0),
    ]  # the second is at its end from the start
    alike = set()
    together = list(descend(descents(losses, patience=3, steps=6), alike=alike))
    assert alike == {2, 3}
    for place in range(3):
        alone = [steps[0] for steps in descend([descents(losses, patience=3, steps=6)[place]])]
        ours = [steps[place] for steps in together if place in steps]
        assert len(ours) == len(alone) == (4 if place == 1 else 6)
        for one, other in zip(ours, alone, strict=True):
            assert torch.equal(one.x, other.x)
            assert (one.index, one.total, one.loss, one.distance) == (
                other.index,
                other.total,
                other.loss,
                other.distance,
            )


def test_a_model_that_sees_the_neighbours_is_noticed():
    def crowded(x):
        return x**2 * len(x)

    with pytest.raises(UnlikeAloneError):
        list(descend(descents([Through(crowded)] * 2)))
    assert len(list(descend(descents([Through(crowded)] * 2), alike={2}))) == 5
    assert len(list(descend(descents([Through(crowded)])))) == 5
