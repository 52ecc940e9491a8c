import itertools

import pytest
import torch

from cloak.errors import UnknownNameError
from cloak.targets import STYLE_NAMES, choose_target, painted_style, style_distance
from cloak.targets.choosing import _apart, _painted_statistics
from cloak.testing import toy_picture


@pytest.mark.parametrize("name", STYLE_NAMES)
def test_a_style_is_a_picture_and_always_the_same_one(name):
    style = painted_style(name)
    assert style.name == name
    assert style.picture.shape == (1, 3, 256, 256)
    assert style.picture.dtype == torch.float32
    assert style.picture.min() >= 0
    assert style.picture.max() <= 1
    assert style.picture.std() > 0.05
    assert torch.equal(painted_style.__wrapped__(name).picture, style.picture)


def test_painting_touches_no_global_seed():
    state = torch.random.get_rng_state()
    for name in STYLE_NAMES:
        painted_style.__wrapped__(name)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_styles_are_far_from_one_another():
    statistics = {name: _painted_statistics(name) for name in STYLE_NAMES}
    apart = {(a, b): _apart(statistics[a], statistics[b]) for a, b in itertools.combinations(STYLE_NAMES, 2)}
    assert len(apart) == len(STYLE_NAMES) * (len(STYLE_NAMES) - 1) / 2
    assert min(apart.values()) > 0.3, min(apart, key=apart.get)
    assert apart["mosaic", "waves"] == pytest.approx(
        style_distance(painted_style("mosaic").picture, painted_style("waves").picture, backbone="alex")
    )


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
@pytest.mark.parametrize("size", [(64, 64), (9, 9), (1, 1), (16, 90)])
def test_style_distance_of_any_size(backbone, size):
    x, y = toy_picture(*size), painted_style("wash").at((1, 3, 64, 64))
    assert style_distance(x, x, backbone=backbone) == 0
    assert style_distance(x, y, backbone=backbone) == pytest.approx(style_distance(y, x, backbone=backbone), rel=1e-5)
    assert style_distance(x, y, backbone=backbone) > 0.05


def test_style_distance_hardly_sees_where_things_are():
    x, y = (painted_style(name).at((1, 3, 96, 96)) for name in ("strokes", "waves"))
    assert style_distance(x, x.flip(3), backbone="alex") < 0.4 * style_distance(x, y, backbone="alex")


@pytest.mark.parametrize("name", STYLE_NAMES)
@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (3, 3, 33, 47), (1, 3, 1, 1), (1, 3, 300, 20), (2, 3, 16, 900)])
def test_a_style_takes_any_shape(name, shape):
    at = painted_style(name).at(torch.Size(shape))
    assert at.shape == shape
    assert at.isfinite().all()
    assert at.min() >= 0
    assert at.max() <= 1


def test_a_style_covers_the_shape_without_distortion():
    picture = painted_style("mosaic").picture
    assert torch.equal(painted_style("mosaic").at((1, 3, 256, 256)), picture)
    torch.testing.assert_close(painted_style("mosaic").at((2, 3, 256, 100))[1:], picture[..., 78:178])


def test_unknown_styles_are_named_with_close_ones():
    with pytest.raises(UnknownNameError, match="did you mean mosaic"):
        painted_style("mosiac")
    with pytest.raises(UnknownNameError, match="did you mean pointillism"):
        choose_target(toy_picture(), "pointilism")
