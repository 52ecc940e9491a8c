"""What the losses about the denoiser and the text space claim, on a toy model."""

import pytest
import torch

from cloak.attacks import PGD, PGDConfig
from cloak.budgets import Linf
from cloak.objectives import (
    CrossAttention,
    Denoising,
    FixedDraws,
    MovingLoss,
    PromptContrast,
    RandomDraws,
    ScoreDistillation,
    SpectrumMatch,
    TextContrast,
    select_timesteps,
)
from cloak.objectives.moving import Lessons
from cloak.surrogates import load_surrogate
from cloak.surrogates.adapting import Trainee
from cloak.targets import painted_style
from cloak.targets.style_text import STYLE_WORDS, invert_prompt, nearest_style
from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline

X = toy_picture(40, 56)
TARGET = painted_style("mosaic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_toy_pipeline(tmp_path_factory.mktemp("toy") / "miniature", "miniature")


@pytest.fixture
def surrogate(folder):
    return load_surrogate(folder)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def attacked(loss, steps=8):
    return PGD(Linf(8 / 255), config=PGDConfig(steps=steps), generator=seeded())(X, loss)


def test_the_value_of_denoising_is_what_training_minimises(surrogate):
    (draw,) = FixedDraws(1)(surrogate.encode(X), 1000)
    noisy = surrogate.add_noise(surrogate.encode(X), draw.noise, draw.timestep)
    error = surrogate.denoise(noisy, draw.timestep, surrogate.embed_text(["a cat"])) - draw.noise
    loss = Denoising(surrogate, X, prompt="a cat", draws=FixedDraws(1))
    torch.testing.assert_close(loss(X), -error.pow(2).mean((1, 2, 3)))


def test_recomputing_the_encoder_gives_the_same_gradient(surrogate):
    loss, x = Denoising(surrogate, X), X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x).sum(), x)
    z = surrogate.encode(x)
    plain = torch.stack([loss.at(z, draw) for draw in loss.draws(z, 1000)]).mean()
    (expected,) = torch.autograd.grad(plain, x)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("ascend", [False, True])
def test_score_distillation_goes_along_the_error(surrogate, ascend):
    loss = ScoreDistillation(surrogate, X, ascend=ascend, draws=FixedDraws(1))
    z = surrogate.encode(X).requires_grad_()
    (draw,) = loss.draws(z, 1000)
    (gradient,) = torch.autograd.grad(loss.at(z, draw).sum(), z)
    error = (loss.predicted(z, draw) - draw.noise).detach()
    torch.testing.assert_close(gradient, (-error if ascend else error) / error.numel())


def test_attention_is_between_flat_and_concentrated(surrogate):
    with torch.no_grad():
        value = float(CrossAttention(surrogate, X)(X))
    assert 1 / 8 - 1e-4 <= value <= 1  # prompts of the toy model have eight tokens


def test_the_picture_moves_to_the_words_of_the_target(surrogate):
    loss = TextContrast(surrogate, X, target=TARGET, own="cat", wanted="dog")
    noise = (X + 8 / 255 * torch.randn(X.shape, generator=seeded()).sign()).clamp(0, 1)
    with torch.no_grad():
        before, after, control = (float(loss(x)) for x in (X, attacked(loss), noise))
    assert before - after > 3 * abs(before - control)


def test_the_denoiser_moves_to_the_words_of_the_target(surrogate):
    loss = PromptContrast(surrogate, X, target=TARGET, own="cat", wanted="dog")
    assert loss.prompts[0] != loss.prompts[1]
    with torch.no_grad():
        assert float(loss(attacked(loss))) < float(loss(X))
    swapped = PromptContrast(surrogate, X, target=TARGET, own="dog", wanted="cat")
    torch.testing.assert_close(swapped(X), -loss(X))


def test_the_own_style_is_found_from_what_the_model_can_do(surrogate):
    assert nearest_style(surrogate, X) in STYLE_WORDS
    without = load_surrogate(surrogate.folder)
    without.capabilities -= {"embed_image"}
    assert nearest_style(without, X) in STYLE_WORDS
    assert nearest_style(surrogate, X, words=("cat",)) == "cat"


def test_an_inverted_prompt_describes_the_picture_better(surrogate):
    start = surrogate.embed_text(["a cat"])
    found = invert_prompt(surrogate, X, start, steps=12, generator=seeded(), rate=0.05)
    assert not torch.equal(found.tokens, start.tokens)
    with torch.no_grad():
        errors = [-float(Denoising(surrogate, X, text=text, draws=FixedDraws(8))(X)) for text in (start, found)]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("part", ["all", "lora", "cross-attention"])
def test_a_trainee_learns_and_leaves_its_model_alone(surrogate, part):
    before = {name: value.clone() for name, value in surrogate.denoiser().state_dict().items()}
    trainee = Trainee(surrogate, part=part, rate=1e-3, generator=seeded())
    text = surrogate.embed_text(["a cat"])
    with torch.no_grad():
        start = -float(Denoising(trainee.surrogate, X, text=text, draws=FixedDraws(8))(X))
    trainee.train(X, text, 20)
    with torch.no_grad():
        end = -float(Denoising(trainee.surrogate, X, text=text, draws=FixedDraws(8))(X))
    assert end < start
    after = surrogate.denoiser().state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in trainee.surrogate.denoiser().parameters())


def test_lessons_come_when_they_are_due(surrogate):
    class Pupil:
        def __init__(self):
            self.lessons = []

        def train(self, x, _text, steps):
            self.lessons.append((len(x), steps))

    pupils, lessons = [Pupil(), Pupil()], Lessons(surrogate.embed_text(["a cat"]), clean=3, cloaked=2, every=2)
    loss = MovingLoss([lambda x: x.mean((1, 2, 3))] * 2, pupils, X, lessons=lessons)
    for _ in range(6):
        loss(X)
    assert [len(pupil.lessons) for pupil in pupils] == [4, 4]
    assert pupils[0].lessons[:2] == [(1, 3), (1, 2)]


def test_timesteps_with_strong_gradients_are_kept():
    kept = select_timesteps(lambda level: level, 1000, generator=seeded())
    assert 0 < len(kept) <= 100
    assert sum(kept) / len(kept) > 600
    assert kept == select_timesteps(lambda level: level, 1000, generator=seeded())


def test_draws_follow_their_generator(surrogate):
    z = surrogate.encode(X)
    first, again, other = (RandomDraws(seeded(seed))(z, 1000)[0] for seed in (1, 1, 2))
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)


def test_the_spectrum_penalty_is_zero_at_first_and_grows_with_fine_noise():
    penalty = SpectrumMatch(X)
    fine = (X + 0.05 * torch.randn(X.shape, generator=seeded())).clamp(0, 1)
    assert float(penalty(X)) == 0
    assert float(penalty(fine)) > float(penalty((X + 0.02).clamp(0, 1)))
