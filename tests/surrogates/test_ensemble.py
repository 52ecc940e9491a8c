import pytest
import torch

from cloak.errors import UnknownNameError, UsageError
from cloak.surrogates import Ensemble
from cloak.testing import toy_picture, toy_surrogate


@pytest.fixture
def pair():
    return Ensemble([toy_surrogate(0, name="one"), toy_surrogate(1, name="two")])


def test_members_answer_side_by_side(pair):
    x = toy_picture(45, 67)
    latents, seen = pair.encode(x), pair.see(x)
    assert len(latents) == len(seen) == len(pair.features(x)) == len(pair) == 2
    for member, z, picture in zip(pair, latents, seen, strict=True):
        assert torch.equal(z, member.encode(x))
        assert torch.equal(picture, member.see(x))
    assert torch.equal(pair.decode(latents, (45, 67))[1], seen[1])
    assert not torch.equal(latents[0], latents[1])


def test_capabilities_are_those_of_all(pair):
    assert pair.capabilities == {"encode", "decode"}
    mixed = Ensemble([*pair, toy_surrogate(2, name="three", decodes=False)])
    assert mixed.capabilities == {"encode"}
    assert [member.name for member in mixed.having("decode")] == ["one", "two"]
    assert mixed.names == ["one", "two", "three"]
    assert mixed.downscale == 8


def test_members_by_name(pair):
    assert pair["two"].name == "two"
    with pytest.raises(UnknownNameError):
        pair["twoo"]


def test_none_and_twins_are_refused():
    with pytest.raises(UsageError, match="none"):
        Ensemble([])
    with pytest.raises(UsageError, match="toy, toy"):
        Ensemble([toy_surrogate(0), toy_surrogate(1)])


def test_to_moves_every_member(pair):
    assert pair.to("cpu", torch.bfloat16) is pair
    assert all(member.dtype == torch.bfloat16 for member in pair)
