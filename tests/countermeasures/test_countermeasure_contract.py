"""Every countermeasure gives back pictures, does the same twice, and does what its name says."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cloak.errors import UnknownNameError, UsageError
from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.countermeasures import COUNTERMEASURES, Countermeasure, countermeasure
from cloak_eval.mimics import load_pipeline
from cloak_eval.mimics.pipelines import latent_distribution
from cloak_eval.removal import CloakRemover, RemoverConfig, train_remover

OUTPUT_ONLY = {"none", "colour-correction", "realignment"}
CLASSICAL = {"blur", "adverse-cleaner", "non-local", "total-variation"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_pipeline(tmp_path_factory.mktemp("toy") / "sd15", "sd15")


@pytest.fixture(scope="module")
def remover() -> CloakRemover:
    """Knows a cloak that darkens everything."""
    pictures = list(toy_picture(32, 32, batch=2).clamp(0.1, 1))
    config = RemoverConfig(steps=20, batch=2, side=16, width=4)
    return train_remover(pictures, [picture - 0.05 for picture in pictures], config)


def made(name: str, remover: CloakRemover) -> Countermeasure:
    """A countermeasure that has learnt what it has to."""
    counter = COUNTERMEASURES.get(name).value()
    if counter.learns:
        counter.learn(remover)
    return counter


@pytest.fixture(scope="module")
def pipe(folder: Path) -> Any:
    return load_pipeline(folder)


@pytest.mark.parametrize("name", COUNTERMEASURES.names())
def test_pictures_stay_pictures_and_chance_is_repeatable(name: str, pipe: Any, remover: CloakRemover) -> None:
    picture = toy_picture(48, 64)[0]
    first, second = (made(name, remover).treat_all([picture], pipe, seed=4)[0] for _ in range(2))
    assert first.ndim == 3
    assert first.shape[0] == 3
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, second)
    assert torch.equal(first * 255, (first * 255).round())
    if name not in OUTPUT_ONLY and first.shape == picture.shape:
        assert not torch.allclose(first, picture, atol=1 / 255)


@pytest.mark.parametrize("name", sorted(CLASSICAL))
def test_smoothing_brings_a_noisy_picture_nearer_to_the_clean_one(name: str, pipe: Any) -> None:
    clean = torch.nn.functional.interpolate(toy_picture(8, 8), (64, 64), mode="bicubic").clamp(0.1, 0.9)
    noisy = (clean + 0.03 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    treated = COUNTERMEASURES.get(name).value().treat_all([noisy[0]], pipe, seed=0)[0]
    assert (treated - clean[0]).pow(2).mean() < (noisy[0] - clean[0]).pow(2).mean()


def test_what_has_learnt_nothing_cleans_nothing(pipe: Any) -> None:
    with pytest.raises(UsageError, match="has to learn"):
        COUNTERMEASURES.get("learned-remover").value().treat_all([toy_picture(16, 16)[0]], pipe, seed=0)


def test_real_esrgan_enlarges_four_times_and_keeps_the_picture(pipe: Any) -> None:
    picture = torch.nn.functional.interpolate(toy_picture(6, 6), (32, 40), mode="bicubic").clamp(0, 1)
    treated = COUNTERMEASURES.get("noisy-upscaling").value().treat_all([picture[0]], pipe, seed=0)[0]
    assert treated.shape == (3, 128, 160)
    small = torch.nn.functional.interpolate(treated[None], (32, 40), mode="area")
    assert (small - picture).abs().mean() < 0.08  # noise of sigma 0.1 went in


def test_waifu2x_keeps_size_and_picture_over_tiles(pipe: Any) -> None:
    picture = torch.nn.functional.interpolate(toy_picture(6, 6), (50, 215), mode="bicubic").clamp(0, 1)
    treated = COUNTERMEASURES.get("waifu2x").value().treat_all([picture[0]], pipe, seed=0)[0]
    assert treated.shape == picture.shape[1:]
    assert (treated - picture[0]).abs().mean() < 0.02


def test_realignment_changes_the_autoencoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, pictures = load_pipeline(folder), list(toy_picture(64, 64, batch=2))
    kind = COUNTERMEASURES.get("realignment").value
    monkeypatch.setattr(kind, "steps", 2)
    before, _ = latent_distribution(pipe, torch.stack(pictures))
    kind().prepare(pipe, pictures, torch.Generator().manual_seed(0))
    after, _ = latent_distribution(pipe, torch.stack(pictures))
    assert not torch.equal(before, after)


def test_colours_of_drawings_become_those_of_the_published_pictures() -> None:
    published = list(toy_picture(40, 40, batch=3, seed=1))
    drawn = 0.5 * toy_picture(32, 32, batch=4, seed=2) + torch.tensor([0.4, 0.1, 0.0])[:, None, None]
    corrected = COUNTERMEASURES.get("colour-correction").value().correct(drawn.clamp(0, 1), published)
    wanted, before, found = (
        torch.cat([p.reshape(3, -1) for p in some], 1) for some in (published, list(drawn), list(corrected))
    )
    assert (found.mean(1) - wanted.mean(1)).abs().max() < 0.03 < (before.mean(1) - wanted.mean(1)).abs().max()
    assert (found.std(1) - wanted.std(1)).abs().max() < (before.std(1) - wanted.std(1)).abs().max()


def test_joined_names_act_one_after_the_other(pipe: Any, remover: CloakRemover) -> None:
    picture = toy_picture(48, 64)[0]
    blurred = countermeasure("blur").treat_all([picture], pipe, seed=0)
    after_both = countermeasure("half-size").treat_all(blurred, pipe, seed=0)[0]
    both = countermeasure("blur+half-size+colour-correction")
    assert torch.equal(both.treat_all([picture], pipe, seed=0)[0], after_both)
    assert not both.learns
    corrected = both.correct(toy_picture(16, 16, batch=2), [picture])
    assert torch.equal(corrected, countermeasure("colour-correction").correct(toy_picture(16, 16, batch=2), [picture]))
    taught = countermeasure("learned-remover+blur")
    assert taught.learns
    taught.learn(remover)
    assert taught.treat_all([picture], pipe, seed=0)[0].shape == picture.shape
    with pytest.raises(UnknownNameError, match="blurr"):
        countermeasure("half-size+blurr")
