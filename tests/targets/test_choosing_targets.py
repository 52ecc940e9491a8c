import json

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from cloak.errors import InputError, UnknownNameError, UsageError
from cloak.targets import STYLE_NAMES, PortfolioKey, choose_target, painted_style, read_key
from cloak.targets.choosing import _apart, _painted_statistics, _statistics
from cloak.testing import toy_picture


@pytest.mark.parametrize("size", [(64, 64), (9, 9)])
def test_auto_takes_the_farthest_style_every_time(size):
    x = toy_picture(*size)
    chosen = choose_target(x, "auto")
    assert chosen is choose_target(x, "auto")
    own = _statistics(x, "alex")
    distances = {name: _apart(own, _painted_statistics(name)) for name in STYLE_NAMES}
    assert chosen.name == max(distances, key=distances.get)


@pytest.mark.parametrize("name", ["crosshatch", "waves"])
def test_auto_does_not_choose_the_pictures_own_style(name):
    assert choose_target(painted_style(name).picture, "auto").name != name


@pytest.mark.parametrize("name", STYLE_NAMES)
def test_a_style_by_name(name):
    assert choose_target(toy_picture(), name) is painted_style(name)


def test_a_picture_file(tmp_path):
    path = tmp_path / "other style.png"
    Image.new("RGB", (900, 700), (200, 100, 50)).save(path)
    target = choose_target(toy_picture(), str(path))
    assert target.name == path.name
    assert min(target.picture.shape[-2:]) == 512
    expected = torch.tensor([200, 100, 50]).view(1, 3, 1, 1) / 255
    torch.testing.assert_close(target.at((1, 3, 20, 30)), expected.expand(1, 3, 20, 30), rtol=0, atol=1e-5)


def test_a_small_picture_file_is_not_enlarged(tmp_path):
    Image.new("L", (3, 5), 9).save(tmp_path / "a.png")
    assert choose_target(toy_picture(), str(tmp_path / "a.png")).picture.shape == (1, 3, 5, 3)


def test_a_file_that_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.png"):
        choose_target(toy_picture(), str(tmp_path / "a.png"))


@pytest.mark.parametrize("choice", ["", "no-such-style", "no/such.png", "a" * 300, "a\0b", "."])
def test_what_is_neither_a_style_nor_a_file_is_refused(choice):
    with pytest.raises(UnknownNameError, match="Unknown style or picture file"):
        choose_target(toy_picture(), choice)


def test_a_key_decides_where_nothing_else_does(tmp_path):
    path = tmp_path / "key.json"
    path.write_text(PortfolioKey(style="mosaic").model_dump_json())
    assert read_key(path) == PortfolioKey(style="mosaic")
    assert json.loads(path.read_text()) == {"schema_version": 1, "style": "mosaic"}
    for seed in range(2):
        assert choose_target(toy_picture(seed=seed), "auto", key=path).name == "mosaic"
    assert choose_target(toy_picture(), "waves", key=path).name == "waves"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read the key"),
        (b"", "is not a portfolio key"),
        (b"\xff\xfe\x00", "is not a portfolio key"),
        (b"[]", "is not a portfolio key"),
        (b'{"schema_version": 2, "style": "mosaic"}', "is not a portfolio key of this version"),
        (b'{"style": "mosaic", "more": 1}', "is not a portfolio key"),
        (b'{"style": "mosaik"}', "names the style 'mosaik', which this version does not have"),
    ],
)
def test_keys_that_are_none_are_refused(tmp_path, content, message):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_key(path)


def test_a_folder_is_no_key(tmp_path):
    with pytest.raises(UsageError, match="Cannot read the key"):
        read_key(tmp_path)


def test_a_key_cannot_be_changed():
    with pytest.raises(ValidationError):
        PortfolioKey(style="mosaic").style = "waves"
