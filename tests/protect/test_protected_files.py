"""Every kind of file on its whole way: what is promised is checked on the file as it lies on the disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cloak.budgets import STRENGTHS
from cloak.budgets.perceptual import delta_e_percentile
from cloak.certificate import Certificate
from cloak.image import PictureDocument, read_notice, read_picture
from cloak.perceptual import lpips
from cloak.protect import Result

KINDS: dict[str, tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {
    "rgb.png": (("PNG", 40, 48), {}, {}),
    "grey.png": (("PNG", 48, 40, "L"), {}, {"strength": "strong"}),
    "alpha odd size.png": (("PNG", 33, 47, "RGBA"), {}, {}),
    "deep.png": (("PNG", 40, 41, "RGB;16"), {}, {}),
    "photo.jpg": (("JPEG", 48, 56), {"quality": 92}, {"strength": "subtle"}),
    "grey.jpg": (("JPEG", 40, 40, "L"), {"quality": 60}, {}),
    "print.jpg": (("JPEG", 40, 40, "CMYK"), {"quality": 92}, {}),
    "lossy.webp": (("WEBP", 40, 48), {"quality": 80}, {"strength": "subtle"}),
    "pixel.png": (("PNG", 1, 1), {}, {}),
    "icon.png": (("PNG", 9, 9), {}, {}),
    "banner.png": (("PNG", 20, 300), {}, {}),
    "sliver.png": (("PNG", 3, 50, "RGBA"), {}, {}),
}


@dataclass(frozen=True)
class Run:
    result: Result
    source: Path
    contents: bytes
    before: PictureDocument
    after: PictureDocument

    def shown(self) -> tuple[torch.Tensor, torch.Tensor]:
        alpha = self.before.alpha
        pictures = (self.before.pixels, self.after.pixels)
        return pictures if alpha is None else tuple(p * alpha + 1 - alpha for p in pictures)


@pytest.fixture(scope="module", params=KINDS)
def run(request, tmp_path_factory, file_contents, quick, toy_models):
    arguments, options, settings = KINDS[request.param]
    source = tmp_path_factory.mktemp("art") / request.param
    source.write_bytes(file_contents(*arguments, **options))
    contents = source.read_bytes()
    result = quick(**settings)(source)
    return Run(result, source, contents, read_picture(contents), read_picture(result.path))


def test_the_caps_hold_on_the_written_file(run):
    caps = STRENGTHS[run.result.certificate.config.strength].caps
    x, y = run.shown()
    assert lpips("alex").measure(x, y) <= caps.lpips
    assert delta_e_percentile(x, y) <= caps.delta_e
    assert float((y - x).abs().max()) <= caps.linf


def test_it_is_changed_unless_one_level_is_too_much(run):
    if min(run.before.size) == 1:  # one pixel is flat colour, which carries less than a level
        assert "Nothing was changed" in run.result.certificate.verdict or not torch.equal(*run.shown())
        return
    assert not torch.equal(*run.shown())
    if min(run.before.size) >= 20:
        used = run.result.certificate.visibility
        caps = STRENGTHS[run.result.certificate.config.strength].caps
        assert max(used.lpips / caps.lpips, used.delta_e_p95 / caps.delta_e, used.max_change / 255 / caps.linf) > 0.05


def test_the_file_is_of_the_same_kind(run):
    for fact in ("format", "mode", "size", "bit_depth", "is_grey", "lossless"):
        assert getattr(run.after, fact) == getattr(run.before, fact), fact
    assert run.result.format == run.before.format
    assert read_notice(run.result.data)


def test_transparency_and_what_it_hides_stay(run):
    before, after = run.before.raster, run.after.raster
    if before.alpha is None:
        assert after.alpha is None
        return
    assert np.array_equal(before.alpha, after.alpha)
    hidden = before.alpha == 0
    assert np.array_equal(before.samples[hidden], after.samples[hidden])


def test_the_input_is_untouched_and_only_two_files_were_added(run):
    assert run.source.read_bytes() == run.contents
    stem = run.source.stem
    expected = {run.source.name, f"{stem}.cloaked{run.source.suffix}", f"{stem}.cloaked.json"}
    assert {path.name for path in run.source.parent.iterdir()} == expected
    assert run.result.path.name == f"{stem}.cloaked{run.source.suffix}"


def test_the_certificate_is_about_these_files(run):
    certificate = run.result.certificate
    written = run.result.path.read_bytes()
    assert written == run.result.data
    assert certificate.output.sha256 == hashlib.sha256(written).hexdigest()
    assert certificate.output.bytes == len(written)
    assert certificate.input.sha256 == hashlib.sha256(run.contents).hexdigest()
    assert certificate.input.bytes == len(run.contents)
    assert (certificate.input.name, certificate.output.name) == (run.source.name, run.result.path.name)
    for facts, document in ((certificate.input, run.before), (certificate.output, run.after)):
        assert (facts.width, facts.height) == document.size
        assert (facts.mode, facts.format) == (document.mode, document.format)


def test_the_certificate_survives_its_file(run):
    assert run.result.certificate_path == run.result.path.with_suffix(".json")
    stored = run.result.certificate_path.read_text()
    assert Certificate.model_validate_json(stored) == run.result.certificate
    assert "NaN" not in stored
    assert "Infinity" not in stored


def test_the_figures_are_those_of_the_file(run):
    figures = run.result.certificate.visibility
    x, y = run.shown()
    assert figures.lpips == pytest.approx(lpips("alex").measure(x, y), rel=1e-4)
    assert figures.delta_e_p95 == pytest.approx(delta_e_percentile(x, y), rel=1e-4)
    assert figures.max_change == pytest.approx(255 * float((y - x).abs().max()), abs=1e-3)
    assert figures.mean_change == pytest.approx(255 * float((y - x).abs().mean()), rel=1e-4)
    same = torch.equal(x, y)
    assert figures.psnr == (None if same else pytest.approx(-10 * float((y - x).pow(2).mean().log10()), rel=1e-4))
    assert 0.5 < figures.ssim <= 1
    assert figures.lpips_backbone == "st-lpips-alex"
    assert figures.lpips_vgg is None


def test_models_and_their_effect_are_named(run):
    certificate = run.result.certificate
    assert [model.name for model in certificate.models] == ["tiny-flux2", "tiny-sd1"]
    assert [effect.model for effect in certificate.effects] == ["tiny-flux2", "tiny-sd1"]
    assert all(model.embedded and model.sha256 for model in certificate.models)
    decoding, encoding = certificate.effects
    assert decoding.sizes[0].short_side == min(run.before.size)
    assert encoding.sizes == []
    assert decoding.pull is None
    assert certificate.target is None
    assert certificate.steps == 6
    assert "no promise" in certificate.verdict
