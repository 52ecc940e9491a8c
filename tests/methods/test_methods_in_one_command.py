"""Every recipe on a picture as people have them: transparent, of odd size, in one command."""

import json

import numpy as np
import pytest
from PIL import Image

from cloak.cli.main import run
from cloak.methods import METHODS
from cloak.toy_pipelines import write_toy_pipeline

OURS = {"artcloak", "noise", "palette"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_toy_pipeline(tmp_path_factory.mktemp("toy") / "miniature", "miniature")


@pytest.fixture
def picture(tmp_path):
    """37 x 45, half transparent."""
    generator = np.random.default_rng(0)
    samples = generator.integers(40, 200, (5, 5, 4), dtype=np.uint8)
    image = Image.fromarray(samples, "RGBA").resize((45, 37), Image.Resampling.BICUBIC)
    image.save(tmp_path / "art.png")
    return tmp_path / "art.png"


def protect(picture, *options):
    return run(["protect", str(picture), "--effort", "instant", "--device", "cpu", "--json", *options])


@pytest.mark.parametrize("name", [name for name in METHODS.names() if name not in OURS])
def test_every_published_method_runs(name, folder, picture, capsys):
    assert protect(picture, "--method", name, "--models", str(folder)) == 0, capsys.readouterr().err
    with Image.open(picture.with_name("art.cloaked.png")) as written:
        assert (written.size, written.mode) == ((45, 37), "RGBA")
    certificate = json.loads(picture.with_name("art.cloaked.json").read_text())
    assert certificate["config"]["method"] == name
    assert 0 < certificate["visibility"]["lpips"] <= certificate["visibility_caps"]["lpips"]


def test_a_method_that_no_model_is_able_for_is_refused(picture, capsys):
    assert protect(picture, "--method", "advdm", "--models", "tiny-flux2") == 2
    assert "needs a model that can denoise, embed_text, encode" in capsys.readouterr().err
    assert not picture.with_name("art.cloaked.png").exists()
