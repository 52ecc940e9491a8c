"""Metrics on cases with a known answer: the same style, another style, blurred, noisy."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import UsageError
from cloak_eval.metrics import METRICS, Evidence, StyleClassifier, bootstrap, paired_difference, train_style_classifier

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
    return Evidence("stripes", outputs, stripes(8, 3), list(originals), list(pictures), judge)


def value(name: str, case: Evidence) -> float:
    return METRICS.get(name).value()(case, resamples=5)[0].value


def test_the_judge_knows_its_artists(judge: StyleClassifier) -> None:
    assert judge.report.accuracy >= 0.9
    assert judge.report.held_out_pictures == 6
    with pytest.raises(UsageError, match="not trained on"):
        judge.index("dots")


def test_round_trips_are_learnt_and_measured_apart() -> None:
    gallery = {"stripes": list(stripes(4, 0)), "blobs": list(blobs(4, 0))}
    report = train_style_classifier(gallery, side=SIDE, crops=1, round_trip=lambda x: x * 0.9).report
    assert report.accuracy_round_trip is not None


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
    "name", ["protection-success", "style-probability", "style-similarity", "kid", "mmd", "precision", "recall"]
)
def test_another_style_counts_as_protected_the_same_style_does_not(name: str, judge: StyleClassifier) -> None:
    same, other = (value(name, evidence(judge, outputs)) for outputs in (stripes(16, 9), blobs(16, 9)))
    assert other > same if METRICS.get(name).higher_is_better else other < same


def test_the_same_style_is_attributed_and_at_no_distance(judge: StyleClassifier) -> None:
    case = evidence(judge, stripes(8, 9))
    assert value("protection-success", case) == 0
    assert abs(value("kid", case)) < 0.1 * value("kid", evidence(judge, blobs(8, 9)))


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
    assert [value(name, cases[0]) for name in ("lpips", "ssim", "psnr", "delta-e", "changed-area")] == pytest.approx(
        [0, 1, 100, 0, 0], abs=1e-6
    )
    for name in ("lpips", "delta-e", "changed-area"):
        assert value(name, cases[1]) < value(name, cases[2])
    assert value("ssim", cases[1]) > value("ssim", cases[2])
    assert value("psnr", cases[1]) > value("psnr", cases[2])


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
