import sys
from pathlib import Path

import pytest
import torch

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf
from cloak.errors import UnknownNameError, UsageError
from cloak.methods import METHODS, Peer, as_published
from cloak.surrogates import load_surrogate
from cloak.targets import painted_style
from cloak.testing import toy_picture, toy_surrogate
from cloak.toy_pipelines import write_toy_pipeline
from cloak.transforms import ExpectationOverTransforms, Transform

X = toy_picture(40, 48)
STYLE = painted_style("mosaic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_toy_pipeline(tmp_path_factory.mktemp("toy") / "miniature", "miniature")


@pytest.fixture(params=METHODS.names())
def name(request):
    return request.param


@pytest.fixture
def method(name):
    return METHODS.get(name).value()


@pytest.fixture(params=["whole", "decodes", "encodes only"])
def surrogate(request, folder):
    if request.param == "whole":
        return load_surrogate(folder)
    return toy_surrogate(decodes=request.param == "decodes")


def loss_of(method, surrogate, original=X):
    return method.loss(surrogate, original, STYLE if method.needs_target else None)


def through(method, loss, seed=0):
    transforms = method.transforms()
    return ExpectationOverTransforms(
        loss,
        [transform for transform, _ in transforms],
        probabilities=[probability for _, probability in transforms],
        generator=torch.Generator().manual_seed(seed),
    )


def test_a_loss_wherever_the_model_can_do_what_is_needed(name, method, surrogate):
    needs, loss = METHODS.get(name).requires, loss_of(method, surrogate)
    assert (loss is not None) == (bool(needs) and needs <= surrogate.capabilities)
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


def attacked(method, loss, steps):
    generator = torch.Generator().manual_seed(0)
    return PGD(Linf(8 / 255), config=method.optimiser(steps), generator=generator)(X, through(method, loss))


def under_one_chance(method, loss):
    """The loss with the same noise at every call: on a network of random weights no step is right for all of it."""

    def fixed(x):
        method.generator.manual_seed(1)
        return loss(x)

    return fixed


def mean_loss(loss, x, calls=3):
    """Over the models of a pool."""
    with torch.no_grad():
        return sum(float(loss(x)) for _ in range(calls)) / calls


# The gradient of score distillation leaves out the denoiser's Jacobian, so its value need not fall.
NOT_A_DESCENT = {"sds"}


def test_the_recipe_works_as_a_whole(name, method, surrogate):
    """Loss down and budget held, or no loss."""
    loss = loss_of(method, surrogate)
    if loss is None:
        return
    x0 = (X * 255).round() / 255
    loss = under_one_chance(method, loss)
    x = attacked(method, loss, 8)
    assert x.shape == X.shape
    assert float((x - X).abs().max()) <= 8 / 255 + 1e-6
    assert x.min() >= 0
    assert x.max() <= 1
    assert mean_loss(loss, x) < mean_loss(loss, x0) or name in NOT_A_DESCENT


def test_without_a_need_there_are_no_steps(name, method):
    assert bool(METHODS.get(name).requires) == bool(method.optimiser(8).steps)


def test_the_same_seed_gives_the_same_picture(name, folder):
    pictures = []
    for _ in range(2):
        method = METHODS.get(name).value(seed=3)
        loss = loss_of(method, load_surrogate(folder))
        pictures.append(X if loss is None else attacked(method, loss, 2))
    assert torch.equal(*pictures)


def test_a_paper_budget_is_held_and_published_numbers_are_on_one_scale(name, folder):
    method = METHODS.get(name).value()
    if not isinstance(method, Peer):
        assert method.published is None
        return
    paper = method.published
    assert 1 <= paper.linf <= 16
    assert 0 < paper.step <= paper.linf
    assert paper.steps >= 50
    config = method.optimiser(paper.steps)
    assert config.travel == pytest.approx(paper.steps * paper.step / paper.linf)
    x0 = (X * 255).round() / 255
    x = as_published(method, load_surrogate(folder), x0, STYLE, steps=2)
    assert 0 < float((x - x0).abs().max()) <= paper.linf / 255 + 1e-6


def test_as_published_says_what_a_model_lacks():
    with pytest.raises(UsageError, match="toy cannot do what the method needs: denoise, embed_text, encode"):
        as_published(METHODS.get("advdm").value(), toy_surrogate(), X)


def test_a_recipe_is_one_small_file():
    for entry in METHODS:
        if entry.value.published is not None:
            path = Path(sys.modules[entry.value.__module__].__file__)
            assert len(path.read_text().splitlines()) <= 60, path.name


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
