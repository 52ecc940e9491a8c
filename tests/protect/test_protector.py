import hashlib
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import cloak
from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.destination import plan_output
from cloak.effort import EFFORTS
from cloak.errors import FloorError, InputError, MissingModelError, OutputError, UnknownNameError, UsageError
from cloak.image import read_picture
from cloak.protect import protect
from cloak.targets import PortfolioKey


@pytest.fixture
def source(tmp_path, file_contents):
    path = tmp_path / "a.png"
    path.write_bytes(file_contents("PNG", 32, 40))
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_seed_decides_the_bytes(source, tmp_path, quick):
    protector = quick()
    first, again = (protector(source, tmp_path / f"{i}.png") for i in range(2))
    fresh, other = quick()(source.read_bytes()), quick(seed=1)(source.read_bytes())
    assert first.data == again.data == fresh.data
    assert first.certificate.effects == fresh.certificate.effects
    assert first.data != other.data
    assert (fresh.certificate.seed, other.certificate.seed) == (0, 1)


def test_no_global_seed_is_used_or_touched(source, quick):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = quick(method="noise")(source.read_bytes())
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    assert quick(method="noise")(source.read_bytes()).data == first.data


def test_contents_and_pillow_pictures_are_sources_too(source, tmp_path, quick, draw):
    by_path = quick(method="noise")(source, tmp_path / "out.png")
    by_contents = quick(method="noise")(source.read_bytes())
    by_picture = quick(method="noise")(draw(32, 40))
    assert by_contents.data == by_path.data
    assert (by_contents.path, by_contents.certificate_path) == (None, None)
    assert read_picture(by_picture.data).pixels.equal(read_picture(by_path.data).pixels)
    assert by_contents.certificate.input.bytes == len(source.read_bytes())
    assert names(tmp_path) == ["a.png", "out.json", "out.png"]


def test_contents_are_written_where_asked(source, tmp_path, quick):
    result = quick(method="noise")(source.read_bytes(), tmp_path / "b.png")
    assert result.path == tmp_path / "b.png"
    assert result.path.read_bytes() == result.data
    assert Certificate.model_validate_json((tmp_path / "b.json").read_text()) == result.certificate


def test_another_format(source, tmp_path, quick):
    result = quick(method="noise", format="webp")(source)
    assert result.path.name == "a.cloaked.webp"
    assert result.format == read_picture(result.path).format == result.certificate.output.format == "webp"


def test_an_existing_output_is_refused_before_any_work(source, tmp_path, quick):
    (tmp_path / "a.cloaked.png").write_bytes(b"mine")
    protector = quick(method="noise")
    with pytest.raises(OutputError, match=r"a\.cloaked\.png exists already"):
        next(protector.steps(source))
    assert (tmp_path / "a.cloaked.png").read_bytes() == b"mine"
    assert names(tmp_path) == ["a.cloaked.png", "a.png"]
    result = protector(source, overwrite=True)
    assert (tmp_path / "a.cloaked.png").read_bytes() == result.data


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_input_is_never_the_output(source, quick, overwrite):
    before = source.read_bytes()
    with pytest.raises((OutputError, UsageError), match=r"a\.png"):
        quick(method="noise")(source, source, overwrite=overwrite)
    assert source.read_bytes() == before


def test_an_effect_out_of_reach_writes_nothing(source, tmp_path, quick):
    with pytest.raises(FloorError, match=r"a\.png.*less than the 100000 asked for"):
        quick(method="noise", min_effect=1e5)(source)
    assert names(tmp_path) == ["a.png"]


def test_an_effect_within_reach_is_written(source, tmp_path, quick):
    assert quick(method="noise", min_effect=0.01)(source).path.exists()


def test_an_effect_that_nothing_can_show_is_not_reached(source, tmp_path, quick):
    with pytest.raises(FloorError):
        quick(method="noise", min_effect=0.01, models=("tiny-sd1",))(source)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("stage", ["read", "attack", "verify", "write"])
def test_cancelling_leaves_nothing(source, tmp_path, quick, stage):
    before = source.read_bytes()
    steps = quick().steps(source, tmp_path / "b.png")
    assert next(step for step in steps if step.stage == stage)
    steps.close()
    assert names(tmp_path) == ["a.png"]
    assert source.read_bytes() == before


def test_the_steps_tell_the_whole_story(source, quick):
    steps = list(quick().steps(source))
    stages = [step.stage for step in steps]
    assert list(dict.fromkeys(stages)) == ["read", "models", "prepare", "attack", "fit", "verify", "write", "done"]
    attack = [step for step in steps if step.stage == "attack"]
    assert [step.index for step in attack] == list(range(1, 7))
    assert all(step.total == 6 and step.loss is not None and step.eta_seconds >= 0 for step in attack)
    assert attack[-1].preview().shape == (1, 3, 32, 40)
    assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)
    assert {step.source for step in steps} == {source}
    assert [step.result is not None for step in steps] == [False] * (len(steps) - 1) + [True]
    assert attack[-1].loss < attack[0].loss or attack[2].loss < attack[0].loss


def test_target_and_key_reach_the_certificate(source, tmp_path, quick):
    key = tmp_path / "key.json"
    key.write_text(PortfolioKey(style="waves").model_dump_json())
    by_name = quick(method="noise", target="wash")(source.read_bytes()).certificate
    by_key = quick(method="noise", key=key)(source.read_bytes()).certificate
    assert (by_name.target, by_key.target) == ("wash", "waves")
    for effect in by_name.effects:
        assert effect.pull is not None
        assert effect.pull_noise is not None
    assert by_name.effects[0].style_towards_target is not None
    by_file = quick(method="noise", target=str(source))(source.read_bytes()).certificate
    assert by_file.target == "a.png"
    assert Certificate.model_validate_json(by_file.model_dump_json()) == by_file


@pytest.mark.parametrize("size", [(9, 9), (5, 60)])
def test_tiny_pictures_have_targets_too(quick, draw, size):
    assert quick(method="noise", target="wash")(draw(*size)).certificate.effects[0].pull is not None


def test_the_battery_says_what_remains(source, quick):
    certificate = quick(effort="fast", models=("tiny-flux2",))(source.read_bytes()).certificate
    (effect,) = certificate.effects
    assert list(effect.remains) == ["jpeg 75"]
    assert all(share >= 0 for share in effect.remains.values())
    assert certificate.visibility.lpips_vgg is None  # left to slower efforts
    assert certificate.steps == EFFORTS["fast"].steps
    assert Certificate.model_validate_json(certificate.model_dump_json()) == certificate


def test_a_cloak_moves_more_than_the_control(source, quick):
    cloak_, noise = (quick(method=name)(source.read_bytes()).certificate for name in ("artcloak", "noise"))
    assert cloak_.effects[0].sizes[0].times_noise > 1.5 * noise.effects[0].sizes[0].times_noise
    assert noise.steps == 0


def test_large_pictures_are_worked_on_smaller_and_in_parts(monkeypatch, quick, draw):
    """The same way as for pictures of several megapixels, with all sizes divided by about twenty."""
    monkeypatch.setattr("cloak.scene.WORKING_SIDE", 48)
    monkeypatch.setattr(sys.modules["cloak.perceptual.lpips"], "_TILE", 64)
    monkeypatch.setattr("cloak.budgets.perceptual._ROWS", 40)
    monkeypatch.setattr("cloak.certificate._BAND", 40)
    result = quick()(draw(104, 65))
    visibility, caps = result.certificate.visibility, result.certificate.visibility_caps
    assert visibility.lpips <= caps["lpips"]
    assert visibility.max_change > 0
    assert read_picture(result.data).size == (65, 104)


@pytest.mark.parametrize("colour", ["white", "black", (200, 30, 30)])
def test_flat_colour(quick, colour):
    certificate = quick()(Image.new("RGB", (24, 24), colour)).certificate
    assert certificate.visibility.lpips <= certificate.visibility_caps["lpips"]
    assert certificate.visibility.max_change <= 8


def test_a_picture_that_is_wholly_transparent_stays_as_it_is(quick):
    source = Image.new("RGBA", (24, 24), (1, 2, 3, 0))
    result = quick()(source)
    assert list(read_picture(result.data).raster.samples[0, 0]) == [1, 2, 3]
    assert result.certificate.visibility.psnr is None
    assert Certificate.model_validate_json(result.certificate.model_dump_json()) == result.certificate


def test_mistakes_are_named(tmp_path, source, quick):
    with pytest.raises(UnknownNameError, match="did you mean artcloak"):
        next(quick(method="artcloack").steps(source))
    with pytest.raises(InputError, match="does not exist"):
        quick()(tmp_path / "no.png")
    with pytest.raises(UnknownNameError, match="style or picture file"):
        quick(target="no-such-style")(source)
    with pytest.raises(MissingModelError, match="--models"):
        quick(models=("sd15",))(source)
    with pytest.raises(UsageError, match="not both"):
        protect(source, config=ProtectConfig(), seed=1)
    with pytest.raises(TypeError, match="path, bytes or a Pillow image"):
        quick()(3)
    assert names(tmp_path) == ["a.png"]


def test_the_function_is_the_same_as_the_class(source, tmp_path, quick):
    result = cloak.protect(source, tmp_path / "b.png", effort="instant", method="noise", device="cpu")
    assert result.data == quick(method="noise")(source.read_bytes()).data
    assert hashlib.sha256((tmp_path / "b.png").read_bytes()).hexdigest() == result.certificate.output.sha256


@pytest.mark.parametrize(
    ("output", "choice", "expected"),
    [
        (None, "keep", "in/a.b.cloaked.PNG"),
        (None, "jpeg", "in/a.b.cloaked.jpg"),
        ("out", "keep", "out/a.b.cloaked.PNG"),
        ("out", "tiff", "out/a.b.cloaked.tif"),
        ("out/x.png", "keep", "out/x.png"),
    ],
)
def test_where_the_output_goes(tmp_path, output, choice, expected):
    (tmp_path / "out").mkdir()
    planned = plan_output(tmp_path / "in/a.b.PNG", None if output is None else tmp_path / output, choice)
    assert planned == tmp_path / expected


def test_large_models_are_recomputed_in_the_backward_pass(monkeypatch):
    folder = str(Path(cloak.__file__).parent / "embedded" / "miniature" / "vae")
    keeps = cloak.Protector(models=(folder,), device="cpu").surrogates[0]
    monkeypatch.setattr("cloak.memory._LARGE", 1_000_000)
    recomputes = cloak.Protector(models=(folder,), device="cpu").surrogates[0]
    assert [s.module.encoder.gradient_checkpointing for s in (keeps, recomputes)] == [False, True]
