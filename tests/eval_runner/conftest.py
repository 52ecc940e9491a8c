"""A matrix of a few cells on an untrained toy, with two artists that differ at a glance."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.experiments import Experiment

PICTURES = 5


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_pipeline(tmp_path_factory.mktemp("model") / "sd15", "sd15")


@pytest.fixture(scope="session")
def toy_art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    art = tmp_path_factory.mktemp("art")
    for artist, tint in (("anna", (1.0, 0.6, 0.3)), ("bert", (0.3, 0.5, 1.0))):
        (art / artist).mkdir()
        for index in range(PICTURES):
            picture = toy_picture(72, 80, seed=index + 10 * len(tint))[0] * torch.tensor(tint)[:, None, None]
            samples = (picture * 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(samples).save(art / artist / f"{index}.png")
    return art


@pytest.fixture(scope="session")
def experiment(toy_model: Path) -> Experiment:
    return Experiment(
        name="toy",
        model=str(toy_model),
        artists=("anna",),
        also_judged=("bert",),
        methods=("artcloak",),
        protect_models=("auto",),
        effort="instant",
        countermeasures=("none",),
        metrics=("protection-success", "style-probability", "kid", "lpips"),
        subjects=("a cat", "a dog"),
        pictures=2,
        posted_side=None,
        judge_crops=1,
        mimic_settings={
            "lora": {"steps": 2, "batch": 1, "crops": 1, "sampling_steps": 2},
            "none": {"sampling_steps": 2},
        },
    )
