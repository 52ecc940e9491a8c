import numpy as np
import pytest
import torch
from PIL import Image

from cloak.budgets import STRENGTHS
from cloak.image import read_picture
from cloak.methods import METHODS
from cloak.scene import WORKING_SIDE, Scene
from cloak.testing import toy_picture, toy_surrogate
from cloak.views import View, ViewedLoss, detail_views, for_models, resized, scale_for, whole_view

RADIUS, LEVEL = 10 / 255, STRENGTHS["balanced"]


def scene_of(image):
    return Scene(read_picture(image), level=LEVEL)


def wobble(x, seed=1):
    return RADIUS * (2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) - 1)


@pytest.fixture
def transparent(draw):
    return scene_of(draw(33, 48, "RGBA"))


def test_transparent_pictures_are_shown_on_white(transparent):
    hidden = transparent.document.alpha == 0
    assert hidden.any()
    assert (transparent.shown[hidden.expand(1, 3, -1, -1)] == 1).all()
    alpha, pixels = transparent.document.alpha, transparent.document.pixels
    torch.testing.assert_close(transparent.shown, pixels * alpha + 1 - alpha)
    assert torch.equal(transparent.working, transparent.shown)


def test_nothing_may_move_where_it_is_transparent(transparent):
    hidden = (transparent.document.alpha == 0).expand(1, 3, -1, -1)
    radius = transparent.ball().radius.expand(1, 3, -1, -1)
    assert (radius[hidden] == 0).all()
    assert (radius[~hidden] > 0).all()
    change = transparent.enlarged(wobble(transparent.working))
    assert (change[hidden] == 0).all()
    assert torch.equal(transparent.pixels(change)[hidden], transparent.document.pixels[hidden])


def test_a_change_of_what_is_shown_is_found_there_again(transparent):
    scene = transparent
    encode = scene.encoder(choice="keep", metadata="keep", notice=False, quality=None)
    change = scene.enlarged(wobble(scene.working))
    shown = scene.stored(change, encode, "keep")
    inside = (scene.document.pixels > 0.15) & (scene.document.pixels < 0.85)
    assert (shown - (scene.shown + change))[inside].abs().max() <= 0.51 / 255
    data = encode(scene.pixels(change))
    assert torch.equal(scene.reread(data), shown)
    again = read_picture(data).raster
    stored = scene.document.raster
    assert np.array_equal(again.alpha, stored.alpha)
    assert np.array_equal(again.samples[stored.alpha == 0], stored.samples[stored.alpha == 0])


def test_what_is_stored_lossily_is_what_a_reader_sees(draw, file_contents):
    scene = scene_of(file_contents("JPEG", 40, 48, quality=92))
    encode = scene.encoder(choice="keep", metadata="keep", notice=False, quality=None)
    change = wobble(scene.working)
    assert scene.is_lossy("keep")
    assert not scene.is_lossy("png")
    assert torch.equal(scene.stored(change, encode, "keep"), read_picture(encode(scene.pixels(change))).pixels)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_documents_get_grey_changes_only(draw, mode):
    scene = scene_of(draw(40, 48, mode))
    change = scene.enlarged(wobble(scene.working))
    assert change.shape == scene.shown.shape
    spread = (change - change.mean(1, keepdim=True)).abs().max()
    assert (spread < 1e-7) == (mode == "L")
    seen = []
    scene.achromatic(lambda x: seen.append(x) or x.mean((1, 2, 3)))(scene.working + wobble(scene.working))
    spread = ((seen[0] - scene.working) - (seen[0] - scene.working).mean(1, keepdim=True)).abs().max()
    assert (spread < 1e-6) == (mode == "L")
    stored = scene.stored(change, None, "keep")
    assert ((stored[:, 0] - stored[:, 1]).abs().max() == 0) == (mode == "L")


def test_a_change_keeps_to_the_ball_at_full_size(draw):
    scene = scene_of(draw(40, 48))
    change = scene.enlarged(10 * wobble(scene.working))
    radius = scene.ball().radius.expand_as(change)
    assert scene.ball().distance(scene.shown, scene.shown + change) <= 1.001
    assert radius.min() >= LEVEL.flat.channel - 1e-7
    assert radius.max() <= LEVEL.texture.channel


@pytest.mark.parametrize("band", [16, 33, 90])
def test_bands_of_rows_leave_no_seams(draw, monkeypatch, band):
    for mode in ("RGB", "RGBA"):
        scene = scene_of(draw(100, 48, mode))
        change = 5 * wobble(scene.working)
        whole = scene.enlarged(change)
        monkeypatch.setattr("cloak.scene._BAND", band)
        torch.testing.assert_close(scene.enlarged(change), whole, rtol=0, atol=1e-6)
        monkeypatch.undo()


def test_a_large_picture_is_worked_on_at_a_trainers_size():
    """Several megapixels: few steps of the flagship on the working picture, and the way back to full size."""
    x = toy_picture(1300, 2100)
    samples = (x[0].permute(1, 2, 0) * 255).round().byte().numpy()
    scene = scene_of(Image.fromarray(samples))
    assert scene.shown.shape == (1, 3, 1300, 2100)
    assert scene.working.shape == (1, 3, WORKING_SIDE, 1654)
    method = METHODS.get("artcloak").value()
    view = whole_view(scene.working, 64)
    loss = method.loss(toy_surrogate(), view.look(scene.working), None)
    small = scene.working.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(view.look(small + 0.01)).sum(), small)
    assert gradient.isfinite().all()
    change = scene.enlarged(-RADIUS * gradient.sign())
    assert change.shape == scene.shown.shape
    assert LEVEL.flat.channel / 2 < change.abs().max() <= 2 * LEVEL.texture.channel
    with torch.no_grad():
        moved = resized((scene.shown + change).clamp(0, 1), scene.scale)
        assert loss(view.look(moved)) < loss(view.look(scene.working))


@pytest.mark.parametrize("size", [(16, 900), (900, 16), (1, 1), (3, 3000), (9, 9)])
def test_extreme_shapes(draw, size):
    scene = scene_of(draw(*size))
    assert scene.working.shape[-2:] == size
    view = whole_view(scene.working, 256)
    looked = view.look(scene.working)
    assert min(looked.shape[-2:]) >= 8
    assert looked.shape[-2] * looked.shape[-1] <= 2.6 * 256**2
    x = scene.working.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(toy_surrogate().see(view.look(x)).square().sum(), x)
    assert gradient.isfinite().all()
    change = scene.enlarged(wobble(scene.working))
    assert change.shape == scene.shown.shape
    assert detail_views(scene.working, 256) == []


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((100, 100), 512, (100, 100)),
        ((1024, 2048), 512, (512, 1024)),
        ((2000, 1000), 512, (1024, 512)),
        ((1024, 8192), 512, (286, 2290)),
        ((20, 20000), 64, (8, 3200)),
        ((512, 512), 512, (512, 512)),
    ],
)
def test_sizes_that_models_look_at(size, side, expected):
    x = torch.zeros(1, 3, *size)
    scale = scale_for(x, side)
    assert scale <= 1
    assert resized(x, scale).shape[-2:] == expected


def test_downscaling_is_antialiased_and_stays_in_range():
    stripes = torch.arange(256).remainder(2).float().expand(1, 3, 128, -1)
    small = resized(stripes, 0.25)
    assert small.shape == (1, 3, 32, 64)
    assert (small[..., 4:-4] - 0.5).abs().max() < 0.05
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).round()
    assert 0 <= resized(noise, 0.7).min() <= resized(noise, 0.7).max() <= 1
    assert resized(noise, 1.0) is noise


def test_models_never_get_less_than_they_take():
    assert for_models(torch.zeros(2, 3, 1, 1)).shape == (2, 3, 8, 8)
    assert for_models(torch.zeros(1, 3, 3, 50)).shape == (1, 3, 8, 50)
    x = toy_picture(9, 8)
    assert for_models(x) is x
    x = toy_picture(5, 7)
    assert torch.equal(for_models(x)[..., :5, :7], x)


@pytest.mark.parametrize("size", [(64, 64), (75, 300), (129, 128), (512, 1000)])
@pytest.mark.parametrize("side", [32, 64])
def test_details_cover_the_picture(size, side):
    x = torch.zeros(1, 1, *size)
    marked = x.clone()
    views = detail_views(x, side)
    for view in views:
        part = view.look(marked)
        assert part.shape[-2:] == (side, side)
        part += 1
    if min(size) < side + 16:
        assert views == []
        return
    assert marked[..., :-7, :-7].min() >= 1  # all but a rim narrower than the latent grid
    assert marked.mean() < 4.1  # 2 x 2 views of a picture that is hardly larger than one


def test_each_look_evaluates_one_view_by_probability():
    counts = [0, 0, 0]

    def loss_of(index):
        def loss(x):
            counts[index] += 1
            assert x.shape[-1] == 10 + index
            return x.mean((1, 2, 3)) + index

        return loss

    views = [
        (View(str(index), lambda x, width=10 + index: x[..., :width]), probability, loss_of(index))
        for index, probability in enumerate((0.7, 0.3, 0.0))
    ]
    viewed = ViewedLoss(views, generator=torch.Generator().manual_seed(0))
    x = torch.zeros(2, 3, 20, 20)
    values = [viewed(x) for _ in range(200)]
    assert all(value.shape == (2,) for value in values)
    assert sum(counts) == 200
    assert 110 < counts[0] < 170
    assert counts[2] == 0
    again = ViewedLoss(views, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(again(x), value) for value in values[:20])
