import io

import numpy as np
import pytest
import torch
from PIL import Image

from cloak.errors import UnknownNameError
from cloak.testing import toy_picture
from cloak.transforms import JPEG, TRANSFORMS, Blur, ExpectationOverTransforms, Identity, Noise, Resize

SIZES = [(48, 64), (33, 47), (9, 9), (8, 120)]


@pytest.fixture(params=TRANSFORMS.names())
def transform(request):
    return TRANSFORMS.get(request.param).value()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    return first == second


@pytest.mark.parametrize("size", SIZES)
def test_keeps_shape_type_and_range(transform, size):
    x = toy_picture(*size, batch=2)
    for seed in range(3):
        y = transform(x, seeded(seed))
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.isfinite().all()
        assert y.min() >= 0
        assert y.max() <= 1


@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_stays_in_range_at_its_ends(transform, colour):
    y = transform(torch.full((1, 3, 24, 24), colour), seeded())
    assert y.min() >= 0
    assert y.max() <= 1


def test_chance_is_in_the_draw_only(transform):
    x = toy_picture(33, 47)
    state = torch.random.get_rng_state()
    first, second = (transform.sample(x.shape, seeded(4)) for _ in range(2))
    assert first.keys() == second.keys()
    assert all(same(first[name], second[name]) for name in first)
    assert torch.equal(transform.apply(x, first), transform.apply(x, first))
    assert torch.equal(transform.apply(x, first), transform.apply(x, second))
    assert torch.equal(torch.random.get_rng_state(), state)
    if first:
        others = [transform.sample(x.shape, seeded(seed)) for seed in range(5, 20)]
        assert any(not same(first[name], other[name]) for other in others for name in first)


def test_leaves_its_input_alone(transform):
    x = toy_picture(33, 47)
    before = x.clone()
    transform(x, seeded())
    assert torch.equal(x, before)


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_gradient_is_finite_and_not_zero(transform, size):
    x = toy_picture(*size, batch=2).requires_grad_()
    (gradient,) = torch.autograd.grad(transform(x, seeded()).square().sum(), x)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().amax(1) > 0).all()


def test_pictures_of_a_batch_are_processed_alone(transform):
    x = toy_picture(33, 47, batch=2)
    drawn = transform.sample(x.shape, seeded())
    together = transform.apply(x, drawn)
    for index in range(2):
        own = {
            name: value[index : index + 1] if isinstance(value, torch.Tensor) else value
            for name, value in drawn.items()
        }
        torch.testing.assert_close(together[index : index + 1], transform.apply(x[index : index + 1], own))


def test_entries_say_what_they_are(transform):
    entry = next(entry for entry in TRANSFORMS if isinstance(transform, entry.value))
    assert entry.summary
    with pytest.raises(UnknownNameError, match=entry.name):
        TRANSFORMS.get(entry.name + "x")


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("size", [(64, 80), (33, 47)])
def test_jpeg_is_close_to_a_real_one(quality, size):
    x = (toy_picture(*size) * 255).round() / 255
    stream = io.BytesIO()
    Image.fromarray((x[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(
        stream, "JPEG", quality=quality, subsampling="4:2:0"
    )
    real = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)[None] / 255
    ours = JPEG().apply(x, {"quality": quality})
    lost = (real - x).abs().mean()
    assert (ours - real).abs().mean() < 0.4 * lost
    assert (ours - real).abs().mean() < 0.01


def test_parameters_lie_in_the_asked_ranges():
    shape = torch.Size((1, 3, 100, 200))
    for seed in range(20):
        assert 60 <= JPEG((60, 61)).sample(shape, seeded(seed))["quality"] <= 61
        assert 0.7 <= Blur((0.7, 0.8)).sample(shape, seeded(seed))["sigma"] <= 0.8
        size = Resize((0.5, 0.6)).sample(shape, seeded(seed))["size"]
        assert (50, 100) <= size <= (60, 120)
        assert 0.015 < float(Noise((0.02, 0.021)).sample(shape, seeded(seed))["noise"].std()) < 0.025


def test_blur_and_resize_take_detail_away():
    x = torch.rand(1, 3, 64, 64, generator=seeded())
    assert Blur().apply(x, {"sigma": 1.0}).std() < 0.5 * x.std()
    assert Resize().apply(x, {"size": (32, 32), "mode": "bilinear"}).std() < 0.7 * x.std()
    flat = torch.full((1, 3, 40, 40), 0.3)
    torch.testing.assert_close(Blur()(flat, seeded()), flat)
    torch.testing.assert_close(Resize()(flat, seeded()), flat)


def mean(x):
    return x.mean((1, 2, 3))


def expectation(*transforms, probabilities, samples=1, seed=0):
    return ExpectationOverTransforms(
        mean, transforms, probabilities=probabilities, generator=seeded(seed), samples=samples
    )


def test_expectation_has_the_contract_of_a_loss():
    x = toy_picture(batch=2).requires_grad_()
    through = expectation(Identity(), Noise(), probabilities=[0.5, 0.5], samples=3)
    values = through(x)
    assert values.shape == (2,)
    (gradient,) = torch.autograd.grad(values.sum(), x)
    assert gradient.abs().max() > 0
    again = expectation(Identity(), Noise(), probabilities=[0.5, 0.5], samples=3)
    assert torch.equal(values, again(x))


def test_expectation_draws_by_probability():
    class Counted(Identity):
        count = 0

        def apply(self, x, parameters):
            self.count += 1
            return super().apply(x, parameters)

    often, never, seldom = Counted(), Counted(), Counted()
    through = expectation(often, never, seldom, probabilities=[0.8, 0.0, 0.2], samples=200)
    torch.testing.assert_close(through(toy_picture(8, 8)), mean(toy_picture(8, 8)))
    assert never.count == 0
    assert often.count + seldom.count == 200
    assert 130 < often.count < 185


def test_expectation_needs_a_probability_for_each():
    with pytest.raises(ValueError, match="2 transforms need as many probabilities, got 1"):
        expectation(Identity(), Identity(), probabilities=[1.0])
