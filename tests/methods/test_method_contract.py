import pytest
import torch

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf
from cloak.errors import UnknownNameError
from cloak.methods import METHODS
from cloak.targets import painted_style
from cloak.testing import toy_picture, toy_surrogate
from cloak.transforms import ExpectationOverTransforms, Transform

X = toy_picture(40, 48)


@pytest.fixture(params=METHODS.names())
def method(request):
    return METHODS.get(request.param).value()


@pytest.fixture(params=[True, False], ids=["decodes", "encodes only"])
def surrogate(request):
    return toy_surrogate(decodes=request.param)


def loss_of(method, surrogate, original=X):
    return method.loss(surrogate, original, painted_style("mosaic") if method.needs_target else None)


def test_the_loss_has_the_contract_of_one(method, surrogate):
    loss = loss_of(method, surrogate)
    if loss is None:
        return
    x = (X + 0.01).clamp(0, 1).requires_grad_()
    values = loss(x)
    assert values.shape == (1,)
    (gradient,) = torch.autograd.grad(values.sum(), x)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_transforms_come_with_probabilities_that_sum_to_one(method):
    transforms = method.transforms()
    for transform, probability in transforms:
        assert isinstance(transform, Transform)
        assert 0 < probability <= 1
    if transforms:
        assert sum(probability for _, probability in transforms) == pytest.approx(1)


@pytest.mark.parametrize("steps", [1, 6, 160])
def test_the_optimiser_takes_the_steps_or_none(method, steps):
    config = method.optimiser(steps)
    assert isinstance(config, PGDConfig)
    assert config.steps in (0, steps)


def test_the_recipe_works_as_a_whole(method, surrogate):
    """Loss down through its own transforms, or no loss and no steps."""
    loss, config = loss_of(method, surrogate), method.optimiser(8)
    if loss is None:
        assert config.steps == 0
        return
    generator = torch.Generator().manual_seed(0)
    transforms = method.transforms()
    through = ExpectationOverTransforms(
        loss,
        [transform for transform, _ in transforms],
        probabilities=[probability for _, probability in transforms],
        generator=generator,
    )
    x0 = (X * 255).round() / 255
    x = PGD(Linf(8 / 255), config=config, generator=generator)(x0, through)
    with torch.no_grad():
        assert loss(x) < loss(x0)


def test_entries_are_documented(method):
    (entry,) = [entry for entry in METHODS if entry.value is type(method)]
    assert entry.summary
    assert entry.licence
    assert entry.requires <= {"encode", "decode", "denoise", "embed_text", "embed_image"}
    with pytest.raises(UnknownNameError, match=f"did you mean.*{entry.name}"):
        METHODS.get(entry.name + "s")


def test_the_flagship_and_the_control_are_there():
    assert {"artcloak", "noise"} <= set(METHODS.names())
    assert loss_of(METHODS.get("noise").value(), toy_surrogate()) is None


def test_losses_of_models_that_decode_and_that_do_not_are_of_one_size():
    method = METHODS.get("artcloak").value()
    x = (X + 0.02 * torch.randn(X.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    seen, encoded = (abs(float(loss_of(method, toy_surrogate(decodes=decodes))(x))) for decodes in (True, False))
    assert 0.02 < seen / encoded < 50
