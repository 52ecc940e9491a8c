"""Every mimic learns from a few pictures, draws what it is asked for, and does so in the same way twice."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cloak.errors import ModelError
from cloak.testing import toy_picture
from cloak.toy_pipelines import ToyPipeline, write_toy_pipeline
from cloak_eval.mimics import MIMICS, Mimic, TrainingSet, load_pipeline
from cloak_eval.mimics.textual_inversion import TextualInversion

QUICK: dict[str, Any] = {"steps": 2, "batch": 2, "crops": 1, "sampling_steps": 2, "resolution": 32}
SMALL: dict[str, dict[str, Any]] = {"dreambooth": {"prior_pictures": 2}, "textual-inversion": {"vectors": 1}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[ToyPipeline, Path]:
    place = tmp_path_factory.mktemp("pipelines")
    kinds: tuple[ToyPipeline, ...] = ("sd15", "sd21", "sdxl")
    return {kind: write_toy_pipeline(place / kind, kind) for kind in kinds}


@pytest.fixture(scope="module")
def training() -> TrainingSet:
    return TrainingSet("sks", list(toy_picture(40, 48, batch=3)), ["a cat", "a dog", "a cat"])


def mimic(name: str, **settings: Any) -> Mimic:
    kind = MIMICS.get(name).value
    return kind(kind.config_class(**{**QUICK, **SMALL.get(name, {}), **settings}))


def run(name: str, folder: Path, training: TrainingSet, **settings: Any) -> tuple[list[float], Tensor]:
    pipe, thief = load_pipeline(folder), mimic(name, **settings)
    losses = thief.train(pipe, training, seed=3)
    return losses, thief.draw(pipe, training.artist, ["a cat", "a dog"], seed=5)


@pytest.mark.parametrize("kind", ["sd15", "sd21", "sdxl"])
@pytest.mark.parametrize("name", MIMICS.names())
def test_mimic_trains_and_draws(
    name: str, kind: ToyPipeline, folders: dict[ToyPipeline, Path], training: TrainingSet
) -> None:
    losses, pictures = run(name, folders[kind], training)
    assert len(losses) == (0 if name in {"none", "copy", "image-to-image"} else 2)
    assert all(0 < loss < 1e4 for loss in losses)
    assert pictures.shape == (2, 3, 32, 32)
    assert pictures.dtype == torch.float32
    assert float(pictures.min()) >= 0
    assert float(pictures.max()) <= 1


@pytest.mark.parametrize("name", MIMICS.names())
def test_same_seed_gives_the_same_pictures(name: str, folders: dict[ToyPipeline, Path], training: TrainingSet) -> None:
    first, second = (run(name, folders["sd15"], training) for _ in range(2))
    assert first[0] == second[0]
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("name", ["lora", "dreambooth", "custom-diffusion"])
def test_training_lowers_the_loss_and_changes_what_is_drawn(
    name: str, folders: dict[ToyPipeline, Path], training: TrainingSet
) -> None:
    settings = {"steps": 30, "learning_rate": 1e-2 if name != "dreambooth" else 1e-3}
    losses, after = run(name, folders["sd15"], training, **settings)
    _, before = run(name, folders["sd15"], training, steps=0)
    assert sum(losses[-8:]) < sum(losses[:8])
    assert not torch.equal(before, after)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rate_falls_after_the_first_step(
    schedule: str, folders: dict[ToyPipeline, Path], training: TrainingSet
) -> None:
    constant, falling = (
        run("lora", folders["sd15"], training, steps=3, learning_rate=1e-2, schedule=each)[0]
        for each in ("constant", schedule)
    )
    assert falling[:2] == constant[:2]  # the first step is taken at the whole rate
    assert falling[2] != constant[2]


class ShortInversion(TextualInversion):
    """Prompts that fit into the eight tokens of the toy's window."""

    def prompt(self, subject: str, artist: str) -> str:  # noqa: ARG002
        return f"{subject} {self._words[0]}"


def test_only_the_new_word_is_learnt(folders: dict[ToyPipeline, Path], training: TrainingSet) -> None:
    pipe = load_pipeline(folders["sd15"])
    before = pipe.text_encoder.get_input_embeddings().weight.clone()
    start = before[pipe.tokenizer("style", add_special_tokens=False).input_ids].mean(0)
    thief = ShortInversion(ShortInversion.config_class(**QUICK, vectors=1))
    thief.train(pipe, training, seed=0)
    after = pipe.text_encoder.get_input_embeddings().weight
    assert torch.equal(before, after[: len(before)])
    assert len(after) == len(before) + 1
    assert not torch.allclose(after[-1], start)


def test_only_the_adapters_are_trained_by_lora(folders: dict[ToyPipeline, Path], training: TrainingSet) -> None:
    pipe = load_pipeline(folders["sd15"])
    mimic("lora", text_encoder=True, convolutions=True).train(pipe, training, seed=0)
    for network in (pipe.unet, pipe.text_encoder):
        trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        assert trained
        assert all("lora" in name for name in trained)


def test_checkpointing_and_mixed_precision_train_as_well(
    folders: dict[ToyPipeline, Path], training: TrainingSet
) -> None:
    plain, _ = run("lora", folders["sd15"], training)
    saving, _ = run("lora", folders["sd15"], training, checkpointing=True)
    assert plain == pytest.approx(saving, rel=1e-4)
    mixed, pictures = run("lora", folders["sd15"], training, precision="bfloat16", accumulate=2)
    assert mixed == pytest.approx(plain, rel=0.5)
    assert pictures.isfinite().all()


def test_a_folder_without_a_denoiser_is_refused(tmp_path: Path, folders: dict[ToyPipeline, Path]) -> None:
    (tmp_path / "vae").symlink_to(folders["sd15"] / "vae")
    with pytest.raises(ModelError, match="has no unet"):
        load_pipeline(tmp_path)
