import pytest
import torch

from cloak.certificate import inspect_pair, measure_visibility
from cloak.effect import BATTERY, ModelEffect, measure_effect, noise_like
from cloak.errors import UsageError
from cloak.perceptual import lpips
from cloak.targets import painted_style
from cloak.testing import toy_picture, toy_surrogate
from cloak.verdict import verdict_for


def eight_bit(x):
    return (x * 255).round() / 255


def moved(x, sigma=0.03, seed=2):
    return eight_bit((x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1))


PICTURES = {
    "soft": eight_bit(toy_picture(64, 80)),
    "tiny": eight_bit(toy_picture(9, 9)),
    "grey": torch.full((1, 3, 64, 64), 128 / 255),
    "white": torch.ones(1, 3, 64, 64),
}


@pytest.mark.parametrize("visibility", [0.002, 0.004, 0.012, 0.03, 0.1])
@pytest.mark.parametrize("name", PICTURES)
def test_the_control_is_as_visible_as_asked(name, visibility):
    x = PICTURES[name]
    distance = lpips("alex").from_original(x)
    noisy = noise_like(x, visibility, distance)
    assert distance(noisy) == pytest.approx(visibility, rel=0.05)
    assert torch.equal(noisy, eight_bit(noisy))
    assert 0 <= noisy.min() <= noisy.max() <= 1
    assert torch.equal(noisy, noise_like(x, visibility, distance))


def test_the_control_of_nothing_is_nothing():
    x = PICTURES["soft"]
    assert torch.equal(noise_like(x, 0.0, lpips("alex").from_original(x)), x)


@pytest.fixture(scope="module")
def measured():
    x = PICTURES["soft"]
    return measure_effect(toy_surrogate(), x, moved(x), metric=lpips("alex"), target=painted_style("wash"))


def test_noise_has_about_the_effect_of_its_control(measured):
    (size,) = measured.sizes
    assert size.short_side == 64
    assert 0.5 < size.times_noise < 2
    assert size.lpips == pytest.approx(lpips("alex").measure(PICTURES["soft"], moved(PICTURES["soft"])))
    assert measured.latent_shift == pytest.approx(measured.latent_shift_noise, rel=0.5)


def test_everything_is_measured_where_the_model_can(measured):
    assert measured.model == "toy"
    assert measured.remains.keys() == {*BATTERY, "autoencoder round trip"}
    assert None not in (measured.pull, measured.pull_noise, measured.style_towards_target)
    (size,) = measured.sizes
    for seen in (size.cloak, size.noise):
        assert all(value >= 0 for value in seen.model_dump().values())
        assert seen.after_colour_match <= 1.1 * seen.low_frequency + 1e-3
    assert ModelEffect.model_validate_json(measured.model_dump_json()) == measured


def test_a_model_that_cannot_decode_says_nothing_about_what_it_sees():
    x = PICTURES["soft"]
    effect = measure_effect(toy_surrogate(decodes=False), x, moved(x), metric=lpips("alex"))
    assert effect.sizes == []
    assert (effect.pull, effect.pull_noise, effect.style_towards_target) == (None, None, None)
    assert effect.remains.keys() == BATTERY.keys()
    assert "unknown" in verdict_for(0.001, [effect], all_embedded=False)


def test_the_way_to_the_target_is_pulled_in_full_by_the_target_itself():
    x, target = PICTURES["soft"], painted_style("waves")
    effect = measure_effect(toy_surrogate(), x, target.at(x.shape), metric=lpips("alex"), target=target, battery="none")
    assert effect.pull == pytest.approx(1, abs=1e-3)
    assert effect.style_towards_target is not None
    assert effect.remains == {}


@pytest.mark.parametrize("size", [(1, 1), (9, 9), (3, 40)])
def test_tiny_pictures(size):
    x = eight_bit(toy_picture(*size))
    effect = measure_effect(toy_surrogate(), x, moved(x), metric=lpips("alex"), target=painted_style("wash"))
    assert ModelEffect.model_validate_json(effect.model_dump_json()) == effect
    assert effect.sizes[0].cloak.low_frequency > 0


def test_no_change_is_no_effect():
    x = PICTURES["soft"]
    effect = measure_effect(toy_surrogate(), x, x, metric=lpips("alex"))
    assert effect.sizes[0].cloak.low_frequency == 0
    assert effect.latent_shift == 0
    assert ModelEffect.model_validate_json(effect.model_dump_json()) == effect


@pytest.mark.parametrize("name", BATTERY)
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (8, 9)])
def test_the_battery_keeps_range_and_is_deterministic(name, size):
    x = toy_picture(*size)
    y = BATTERY[name](x)
    assert 0 <= y.min() <= y.max() <= 1
    assert torch.equal(y, BATTERY[name](x))
    if name not in {"crop 3 px", "resize to 7/8"}:  # these give another size
        assert y.shape == x.shape
        assert 0 < (y - x).abs().mean() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (40, 9), (64, 64)])
def test_visibility_of_equal_pictures(size):
    x = toy_picture(*size)
    figures = measure_visibility(x, x)
    assert figures.psnr is None
    assert figures.ssim == pytest.approx(1, abs=1e-4)
    assert (figures.max_change, figures.mean_change, figures.delta_e_p95, figures.lpips, figures.lpips_vgg) == (0,) * 5


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (15, 64), (64, 64)])
def test_visibility_figures(size, monkeypatch):
    x = toy_picture(*size)
    y = moved(x)
    whole = measure_visibility(x, y, vgg=False)
    assert whole.psnr == pytest.approx(-10 * float((y - x).pow(2).mean().log10()), rel=1e-4)
    assert whole.mean_change == pytest.approx(255 * float((y - x).abs().mean()), rel=1e-5)
    assert whole.lpips_vgg is None
    monkeypatch.setattr("cloak.certificate._BAND", 12)  # the last band of 15 or 64 rows is lower than SSIM's window
    banded = measure_visibility(x, y, vgg=False)
    assert banded.psnr == pytest.approx(whole.psnr, rel=1e-4)
    assert banded.ssim == pytest.approx(whole.ssim, abs=0.1)


def test_a_pair_of_files_is_compared(tmp_path, draw, quick):
    draw(32, 40, "RGBA").save(tmp_path / "a.png")
    result = quick(models=("tiny-flux2",))(tmp_path / "a.png")
    report = inspect_pair(tmp_path / "a.png", result.path, models=("tiny-flux2",))
    assert report.visibility.lpips == pytest.approx(result.certificate.visibility.lpips, rel=1e-5)
    assert report.original == result.certificate.input
    assert report.cloaked == result.certificate.output
    assert report.models == result.certificate.models
    assert report.effects[0].sizes[0].cloak.low_frequency == pytest.approx(
        result.certificate.effects[0].sizes[0].cloak.low_frequency,
        rel=0.3,  # the run computes in bfloat16 where that is fast
    )


def test_a_pair_of_different_sizes_is_refused(tmp_path, draw):
    draw(32, 40).save(tmp_path / "a.png")
    draw(32, 41).save(tmp_path / "b.png")
    with pytest.raises(UsageError, match=r"b\.png is 41x32 but a\.png is 40x32"):
        inspect_pair(tmp_path / "a.png", tmp_path / "b.png")


def test_the_verdict_promises_nothing(measured):
    words = [verdict_for(visible, [measured], all_embedded=True) for visible in (0.0, 0.01, 0.02, 0.5)]
    assert len(set(words)) == 4
    for text in words:
        assert "no promise of safety" in text
        assert "random noise" in text
        assert "cloak models pull" in text
    assert "stand-ins" not in verdict_for(0.0, [measured], all_embedded=False)


def test_what_is_seen_is_measured_in_float32_whatever_the_attack_computed_in():
    x, metric = PICTURES["soft"], lpips("alex")
    rounded = toy_surrogate().to("cpu", torch.bfloat16)
    exact = toy_surrogate().to("cpu", torch.bfloat16).to("cpu", torch.float32)  # the same weights
    effects = [measure_effect(model, x, moved(x), metric=metric, battery="none") for model in (rounded, exact)]
    assert effects[0] == effects[1]
    assert next(rounded.module.parameters()).dtype == rounded.dtype == torch.bfloat16
