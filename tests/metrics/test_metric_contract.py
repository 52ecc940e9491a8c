"""Metrics on cases with a known answer: the same style, another style, blurred, noisy."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import UsageError
from cloak.surrogates import TextEmbedding
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.metrics import (
    METRICS,
    Evidence,
    StyleClassifier,
    bootstrap,
    paired_difference,
    style_features,
    train_style_classifier,
)
from cloak_eval.metrics.dists import structure_and_texture
from cloak_eval.metrics.eye import eye_of, measurable

SIDE = 64


def stripes(count: int, seed: int) -> Tensor:
    """Thin diagonal lines in warm colours, (count, 3, SIDE, SIDE)."""
    generator = torch.Generator().manual_seed(seed)
    phase = torch.rand(count, 1, 1, 1, generator=generator) * 6
    ramp = torch.arange(SIDE).float()
    wave = torch.sin(phase + (ramp[:, None] + ramp[None, :])[None, None] * 0.9) / 2 + 0.5
    warm = torch.tensor([1.0, 0.7, 0.3])[None, :, None, None] * (
        0.8 + 0.2 * torch.rand(count, 3, 1, 1, generator=generator)
    )
    return (wave * warm).clamp(0, 1)


def blobs(count: int, seed: int) -> Tensor:
    """Soft patches in cold colours, (count, 3, SIDE, SIDE)."""
    coarse = torch.rand(count, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    soft = F.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return soft * torch.tensor([0.2, 0.5, 1.0])[None, :, None, None]


@pytest.fixture(scope="module")
def judge() -> StyleClassifier:
    gallery = {"stripes": list(stripes(6, 0)), "blobs": list(blobs(6, 0))}
    return train_style_classifier(gallery, side=SIDE, crops=2)


def evidence(judge: StyleClassifier, outputs: Tensor, published: Tensor | None = None) -> Evidence:
    originals = stripes(3, 2)
    pictures = originals if published is None else published
    return Evidence(
        artist="stripes",
        outputs=outputs,
        references=stripes(8, 3),
        originals=list(originals),
        published=list(pictures),
        judge=judge,
        others=list(stripes(17, 4)),
        suspicion=grain,
        eye=Eye(),  # type: ignore[arg-type]
    )


def grain(picture: Tensor) -> float:
    """A detector of noise."""
    return float((picture - F.avg_pool2d(picture, 3, stride=1, padding=1)).pow(2)[:, 2:-2, 2:-2].mean())


class Eye:
    """Sees the mean colour alone; its words stand for colours: the first half for cold ones, the second for warm."""

    capabilities = frozenset({"embed_image", "embed_text"})
    name, family = "colours", "toy"

    def embed_image(self, x: Tensor) -> Tensor:
        return F.normalize(x.mean((2, 3)), dim=1)

    def embed_text(self, prompts: list[str]) -> TextEmbedding:
        warmth = torch.linspace(0, 1, len(prompts))
        return TextEmbedding(torch.zeros(len(prompts), 1, 3), torch.stack([warmth, 0.5 + 0 * warmth, 1 - warmth], 1))


def value(name: str, case: Evidence) -> float:
    return METRICS.get(name).value()(case, resamples=5)[0].value


def test_the_judge_knows_its_artists(judge: StyleClassifier) -> None:
    assert judge.report.accuracy >= 0.9
    assert judge.report.held_out_pictures == 12
    assert judge.report.low <= judge.report.accuracy <= judge.report.high
    assert [sum(row) for row in judge.report.confusions["clean"]] == [12, 12]
    with pytest.raises(UsageError, match="not trained on"):
        judge.index("dots")


def test_views_are_learnt_and_measured_apart() -> None:
    gallery = {"stripes": list(stripes(4, 0)), "blobs": list(blobs(4, 0))}
    views = {"clean": style_features, "darker": lambda x: style_features(x * 0.9)}
    report = train_style_classifier(gallery, side=SIDE, crops=1, views=views).report
    assert list(report.views) == list(report.confusions) == ["clean", "darker"]
    assert report.views["clean"] == report.accuracy


def test_one_artist_is_no_choice() -> None:
    with pytest.raises(UsageError, match="two artists"):
        train_style_classifier({"stripes": list(stripes(4, 0))})


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_has_an_interval_and_is_repeatable(name: str, judge: StyleClassifier) -> None:
    entry, case = METRICS.get(name), evidence(judge, blobs(6, 1))
    first, rows = entry.value()(case, resamples=20)
    again, _ = entry.value()(case, resamples=20)
    assert first == again
    assert first.low <= first.high
    assert entry.higher_is_better is not None
    assert rows == [] or len(rows) in {3, 6, 8}
    if entry.value_range is not None:
        assert entry.value_range[0] <= first.value <= entry.value_range[1]


@pytest.mark.parametrize(
    "name",
    [
        *("protection-success", "style-probability", "style-similarity", "kid", "mmd", "precision", "recall"),
        *("clip-style", "genre-shift"),
    ],
)
def test_another_style_counts_as_protected_the_same_style_does_not(name: str, judge: StyleClassifier) -> None:
    same, other = (value(name, evidence(judge, outputs)) for outputs in (stripes(16, 9), blobs(16, 9)))
    assert other > same if METRICS.get(name).higher_is_better else other < same


def test_the_same_style_is_attributed_and_at_no_distance(judge: StyleClassifier) -> None:
    case = evidence(judge, stripes(8, 9))
    assert value("protection-success", case) == 0
    assert abs(value("kid", case)) < 0.1 * value("kid", evidence(judge, blobs(8, 9)))


@pytest.mark.parametrize("name", ["kid", "mmd"])
def test_rows_drawn_twice_by_the_bootstrap_are_no_evidence(name: str, judge: StyleClassifier) -> None:
    case, metric = evidence(judge, stripes(6, 9)), METRICS.get(name).value()
    rows = metric.samples(case)
    assert metric.statistic(torch.cat([rows, rows]), case) == pytest.approx(metric.statistic(rows, case), abs=1e-6)
    figure, _ = metric(case, resamples=50)
    assert figure.low <= figure.value <= figure.high


def test_blur_lowers_sharpness_and_noise_raises_grain(judge: StyleClassifier) -> None:
    plain = blobs(4, 1)
    noisy = (plain + 0.1 * torch.randn(plain.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    blurred = F.avg_pool2d(noisy, 5, stride=1, padding=2)
    assert value("output-noise", evidence(judge, noisy)) > 3 * value("output-noise", evidence(judge, plain))
    assert value("output-sharpness", evidence(judge, blurred)) < value("output-sharpness", evidence(judge, noisy))


def test_visibility_of_nothing_is_nothing_and_grows_with_noise(judge: StyleClassifier) -> None:
    outputs, originals = blobs(3, 1), stripes(3, 2)
    grain = torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    cases = [evidence(judge, outputs, (originals + s * grain).clamp(0, 1)) for s in (0.0, 0.02, 0.1)]
    nothing = {"lpips": 0, "ssim": 1, "psnr": 100, "delta-e": 0, "changed-area": 0, "dists-like": 0}
    assert {name: value(name, cases[0]) for name in nothing} == pytest.approx(nothing, abs=1e-6)
    for name in ("lpips", "delta-e", "changed-area", "dists-like"):
        assert value(name, cases[1]) < value(name, cases[2])
    assert value("ssim", cases[1]) > value("ssim", cases[2])
    assert value("psnr", cases[1]) > value("psnr", cases[2])


def test_texture_that_is_drawn_anew_is_nearer_than_one_that_is_blurred() -> None:
    first, second = (torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    blurred = F.avg_pool2d(first, 5, stride=1, padding=2)
    distances = [float(structure_and_texture(first, other)) for other in (first, second, blurred)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert 0 < distances[1] < distances[2]
    assert float((first - second).pow(2).mean()) > float((first - blurred).pow(2).mean())  # pixels say the opposite


def test_noise_is_detected_by_who_looks_for_noise_and_clean_pictures_are_not(judge: StyleClassifier) -> None:
    outputs, originals = blobs(3, 1), stripes(3, 2)
    noise = 0.1 * torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    clean, noisy = evidence(judge, outputs), evidence(judge, outputs, (originals + noise).clamp(0, 1))
    assert value("detectability", noisy) == value("detection-rate", noisy) == 1
    assert 0.2 < value("detectability", clean) < 0.8
    assert value("detection-rate", clean) < 0.5


def test_metrics_that_need_what_is_not_there_are_left_out_or_say_so(judge: StyleClassifier) -> None:
    assert {"clip-style", "genre-shift"} == set(METRICS.names()) - set(measurable(None))
    blind = dataclasses.replace(evidence(judge, blobs(3, 1)), eye=None, suspicion=None)
    for name in ("clip-style", "genre-shift", "detectability", "detection-rate"):
        with pytest.raises(UsageError, match="needs"):
            value(name, blind)


def test_the_miniatures_own_image_encoder_is_the_eye(tmp_path: Path) -> None:
    own = eye_of(str(write_toy_pipeline(tmp_path / "mini", "miniature")))
    assert own is not None
    assert set(measurable(own)) == set(METRICS.names())
    assert eye_of(str(write_toy_pipeline(tmp_path / "sd15", "sd15"))) is None  # and no CLIP on this machine


def test_interval_covers_the_mean_and_pairs_are_tighter() -> None:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(60, generator=generator)
    first, second = shared + 0.3, shared + 0.05 * torch.randn(60, generator=generator)
    alone = bootstrap(first - first.mean(), lambda rows: float(rows.mean()))
    paired = paired_difference(first, second)
    assert alone.low < 0 < alone.high
    assert paired.low < 0.3 < paired.high
    assert paired.high - paired.low < (alone.high - alone.low) / 3
    with pytest.raises(ValueError, match="equal lengths"):
        paired_difference(first, second[:3])
