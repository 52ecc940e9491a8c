import importlib.metadata
import sys

import pytest
import torch
from torch import nn

from cloak.errors import MissingExtraError, ModelError
from cloak.perceptual import backbones, lpips, standard, standard_lpips, style_statistics
from cloak.perceptual.backbones import Backbone, backbone_tensors
from cloak.testing import toy_picture

MODULE = sys.modules["cloak.perceptual.lpips"]  # the package's function of that name hides it
BACKBONES = sorted(backbones._FILES)


@pytest.fixture(params=BACKBONES)
def metric(request):
    return lpips(request.param)


def noisy(x, sigma, seed=1):
    return (x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


def test_equal_pictures_are_at_distance_zero(metric):
    x = toy_picture(batch=2)
    assert torch.equal(metric(x, x), torch.zeros(2))
    assert metric.measure(x[:1], x[:1]) == 0


def test_more_noise_is_farther(metric):
    x = toy_picture()
    distances = [metric.measure(x, noisy(x, sigma)) for sigma in (0.01, 0.03, 0.1, 0.3)]
    assert distances == sorted(distances)
    assert distances[0] > 0
    assert distances[-1] > 10 * distances[0]


def test_distance_is_symmetric(metric):
    x, y = toy_picture(seed=1), toy_picture(seed=2)
    torch.testing.assert_close(metric(x, y), metric(y, x))


def test_a_shift_by_a_pixel_costs_less_than_noise_of_equal_error(metric):
    wide = toy_picture(96, 97)
    x, shifted = wide[..., :-1], wide[..., 1:]
    error = float((shifted - x).pow(2).mean())
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    equal_error = x + noise * (error / noise.pow(2).mean()).sqrt()
    assert metric.measure(x, shifted) < 0.7 * metric.measure(x, equal_error)


def test_pictures_of_a_batch_are_compared_alone(metric):
    x, y = toy_picture(batch=3), noisy(toy_picture(batch=3), 0.05)
    together = metric(x, y)
    assert together.shape == (3,)
    for index in range(3):
        torch.testing.assert_close(together[index : index + 1], metric(x[index : index + 1], y[index : index + 1]))


@pytest.mark.parametrize("size", [(1, 1), (9, 9), (5, 70), (33, 47)])
def test_tiny_pictures_are_measured(metric, size):
    x = toy_picture(*size)
    assert metric.measure(x, x) == 0
    assert 0 < metric.measure(x, noisy(x, 0.1)) < 1


def test_gradient_is_finite(metric):
    x = toy_picture()
    y = noisy(x, 0.02).requires_grad_()
    (gradient,) = torch.autograd.grad(metric(x, y).sum(), y)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_the_tiled_distance_of_a_large_picture_is_close_to_the_whole(monkeypatch):
    x = toy_picture(200, 400, seed=3)
    y = noisy(x, 0.05)
    whole = lpips().measure(x, y)
    monkeypatch.setattr(MODULE, "_TILE", 200)
    assert len(list(MODULE._tiles(200, 400))) == 2
    assert lpips().measure(x, y) == pytest.approx(whole, rel=0.05)


def test_untouched_tiles_count_with_their_area(monkeypatch):
    monkeypatch.setattr(MODULE, "_TILE", 100)
    x = toy_picture(100, 200)
    y = x.clone()
    y[..., :100] = noisy(x[..., :100], 0.05)
    assert lpips().measure(x, y) == pytest.approx(lpips().measure(x[..., :100], y[..., :100]) / 2, rel=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (1343, 1345), (16, 9000), (2688, 900)])
def test_tiles_cover_the_picture_once(size):
    seen = torch.zeros(size)
    for rows, columns in MODULE._tiles(*size):
        assert seen[rows, columns].numel() > 0
        seen[rows, columns] += 1
    assert torch.equal(seen, torch.ones(size))


def test_the_instance_of_a_backbone_is_shared_and_frozen():
    assert lpips("alex") is lpips("alex")
    assert lpips("alex").name == "st-lpips-alex"
    assert not any(parameter.requires_grad for parameter in lpips("vgg").parameters())


@pytest.fixture
def weights_in(tmp_path, monkeypatch):
    """The package that ships the weights, replaced by an empty folder."""
    installed = importlib.metadata.PathDistribution(tmp_path / "stlpips.dist-info")
    monkeypatch.setattr(backbones.importlib.metadata, "distribution", lambda _: installed)
    return tmp_path


@pytest.mark.parametrize("backbone", BACKBONES)
def test_other_weights_than_the_published_ones_are_refused(weights_in, backbone):
    path = weights_in / backbones._FILES[backbone][0]
    path.parent.mkdir(parents=True)
    torch.save({"net.0.weight": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="not the published file"):
        backbone_tensors(backbone)


def test_missing_weights_are_named(weights_in):
    with pytest.raises(ModelError, match=r"alex_shift_tolerant\.pth is missing; reinstall"):
        backbone_tensors("alex")


def test_a_missing_package_says_what_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(backbones.importlib.metadata, "distribution", missing)
    with pytest.raises(MissingExtraError, match=r"stlpips-pytorch.*pip install"):
        backbone_tensors("alex")


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty torch hub cache, and an installed `lpips` without files."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    installed = importlib.metadata.PathDistribution(tmp_path / "lpips.dist-info")
    monkeypatch.setattr(standard.importlib.metadata, "distribution", lambda _: installed)
    standard_lpips.cache_clear()
    yield tmp_path
    standard_lpips.cache_clear()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_original_distance_is_left_out_without_its_weights(hub_cache, backbone):
    assert standard_lpips(backbone) is None


@pytest.mark.parametrize("backbone", BACKBONES)
def test_other_weights_for_the_original_distance_are_refused(hub_cache, backbone):
    cached = hub_cache / "hub/checkpoints" / standard._FILES[backbone][0]
    linear = hub_cache / f"lpips/weights/v0.1/{backbone}.pth"
    for path in (cached, linear):
        path.parent.mkdir(parents=True)
        torch.save({"lin0.model.1.weight": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="not the published file"):
        standard_lpips(backbone)


CHANNELS = {"alex": [64, 192, 384, 256, 256], "vgg": [64, 128, 256, 512, 512]}


@pytest.mark.parametrize("name", sorted(backbones.BACKBONES))
def test_every_backbone_has_five_taps_on_any_size(name):
    kind = name.removeprefix("standard-")
    tensors = backbone_tensors(kind)  # of the same shapes as the original's
    backbone = Backbone(name, tensors)
    for size in ((64, 64), (5, 90)):
        taps = backbone(toy_picture(*size))
        assert [tap.shape[1] for tap in taps] == CHANNELS[kind]
        assert all(tap.isfinite().all() for tap in taps)
        heights = [tap.shape[2] for tap in taps]
        assert heights == sorted(heights, reverse=True)
    if name == "standard-alex":
        assert heights == [15, 7, 3, 3, 3]
    if name == "standard-vgg":
        assert heights == [64, 32, 16, 8, 4]


@pytest.mark.parametrize("size", [(64, 65), (65, 64), (67, 90), (16, 15)])
def test_a_convolution_merged_with_its_blur_gives_the_same(size):
    torch.manual_seed(0)
    convolution, blur = nn.Conv2d(3, 8, 11, padding=2), backbones._BlurDown()
    x = torch.rand(2, 3, *size)
    torch.testing.assert_close(backbones._BlurredConvolution(convolution)(x), blur(convolution(x)))


def test_style_statistics_ignore_where_things_are():
    taps = [torch.rand(2, 5, 8, 8, generator=torch.Generator().manual_seed(0))]
    (statistics,) = style_statistics(taps)
    assert statistics.shape == (2, 10)
    torch.testing.assert_close(statistics, style_statistics([taps[0].flip(2, 3)])[0])
    flat = torch.ones(1, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(style_statistics([flat])[0].sum(), flat)
    assert gradient.isfinite().all()
