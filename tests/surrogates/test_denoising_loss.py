"""Targets and weights of a denoiser's training, compared with what diffusers' scheduler says."""

import pytest
import torch

from cloak.surrogates.denoising import NoiseDraw, draw_noise, min_snr_weight, training_loss, training_target
from cloak.surrogates.noise_schedule import NoiseSchedule

SETTINGS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
Z = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))


def reference():
    import diffusers

    return diffusers.DDPMScheduler(**SETTINGS)


@pytest.fixture(params=["epsilon", "v_prediction", "sample"])
def schedule(request):
    return NoiseSchedule(reference().alphas_cumprod, request.param)


def draw(seed=0, **options):
    return draw_noise(Z.shape, 1000, generator=torch.Generator().manual_seed(seed), **options)


def test_the_target_is_that_of_diffusers(schedule):
    drawn = draw()
    expected = {
        "epsilon": drawn.noise,
        "v_prediction": reference().get_velocity(Z, drawn.noise, drawn.timestep),
        "sample": Z,
    }
    torch.testing.assert_close(training_target(schedule, Z, drawn), expected[schedule.prediction])


def test_a_network_that_is_right_has_no_loss_and_sees_the_noise(schedule):
    drawn = draw()
    target = training_target(schedule, Z, drawn)
    assert training_loss(schedule, target, Z, drawn).max() == 0
    seen = schedule.noise_in(target, schedule.add(Z, drawn.noise, drawn.timestep), drawn.timestep)
    torch.testing.assert_close(seen, drawn.noise, rtol=1e-3, atol=1e-3)


def test_one_loss_for_each_latent(schedule):
    drawn = draw()
    output = training_target(schedule, Z, drawn) + torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1)
    torch.testing.assert_close(training_loss(schedule, output, Z, drawn), torch.tensor([1.0, 4.0, 9.0]))


def test_weights_limit_the_error_of_the_latent_to_gamma(schedule):
    timestep = torch.tensor([10, 400, 900])
    kept = schedule.kept[timestep]
    snr = kept / (1 - kept)
    error_of_latent = {"epsilon": 1 / snr, "v_prediction": 1 / (1 + snr), "sample": torch.ones(3)}  # for an error of 1
    expected = snr.clamp(max=5) * error_of_latent[schedule.prediction]
    torch.testing.assert_close(min_snr_weight(schedule, timestep), expected, rtol=1e-4, atol=1e-6)
    drawn = NoiseDraw(timestep, draw().noise)
    output = training_target(schedule, Z, drawn) + 1
    torch.testing.assert_close(training_loss(schedule, output, Z, drawn, gamma=5.0), expected, rtol=1e-4, atol=1e-5)


def test_draws_follow_the_seed_and_the_span():
    assert torch.equal(draw(1).noise, draw(1).noise)
    assert not torch.equal(draw(1).noise, draw(2).noise)
    drawn = draw_noise((500, 1, 1, 1), 1000, generator=torch.Generator().manual_seed(0), span=(0.2, 0.4))
    assert 200 <= int(drawn.timestep.min()) < 220
    assert 380 < int(drawn.timestep.max()) < 400
