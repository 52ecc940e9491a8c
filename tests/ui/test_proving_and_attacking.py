"""Self-tests and counter-attacks as the working process carries them out, on untrained toys."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("gradio")

from cloak.image import ReadLimits
from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval import selftest
from cloak_eval.countermeasures import COUNTERMEASURES
from cloak_ui import proving
from cloak_ui.attacking import attack, known_attacks
from cloak_ui.gallery_tab import _rate
from cloak_ui.proving import prove
from cloak_ui.tasks import AttackTask, Finished, Progress, ProofTask

LIMITS = ReadLimits()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_pipeline(tmp_path_factory.mktemp("model") / "sd15", "sd15")


def save(picture: torch.Tensor, path: Path) -> Path:
    Image.fromarray((picture[0] * 255).byte().permute(1, 2, 0).numpy()).save(path)
    return path


def test_selftest_shows_drawings_as_it_goes_and_ends_with_pairs_and_figures(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "pictures"
    mine.mkdir()
    for index in range(8):
        save(toy_picture(64, 64, seed=index), mine / f"{index}.png")
    plan = selftest.plan_selftest

    def quick(folder: Path, **options: Any) -> Any:
        settings = {name: {"steps": 2, "sampling_steps": 1} for name in ("lora", "none")}
        update = {"mimic_settings": settings, "judge_crops": 1, "effort": "instant", "countermeasures": ("none",)}
        short = plan(folder, **{**options, "model": str(model)})
        return short.model_copy(update={**update, "metrics": ("protection-success",)})

    monkeypatch.setattr(selftest, "plan_selftest", quick)
    monkeypatch.setattr(proving, "_GLIMPSE_SECONDS", 0.0)
    messages = list(prove(ProofTask(mine), tmp_path, LIMITS))
    progress = [message for message in messages if isinstance(message, Progress)]
    stages = {message.stage for message in progress}
    assert stages >= {"models", "publish", "judge", "treat", "learn", "drawn"}
    pictures = {name: path for message in progress for name, path in message.pictures.items()}
    arms = ("clean", "artcloak", "noise")
    assert set(pictures) == {f"now/{arm}" for arm in arms} | {f"pair/{arm}/{i}" for arm in arms for i in range(8)}
    assert not any(arm in path.name for arm in arms for path in pictures.values())
    learning = [message for message in progress if message.stage == "learn"]
    assert {(m.facts["arm"], m.facts["mimic"], m.facts["mimics"]) for m in learning} == {
        ("clean", 1, 3),
        ("noise", 2, 3),
        ("artcloak", 3, 3),
    }
    assert progress[-1].figures["drawings"] >= 0
    assert ("gain" in progress[-1].figures) != bool(progress[-1].facts["doubt"])
    assert isinstance(messages[-1], Finished)
    assert "Self-test" in messages[-1].files["page"].read_text(encoding="utf-8")


def test_every_kind_of_counter_attack_shows_what_is_left(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "best_model", lambda: str(model))
    for name in ("realignment", "impress"):
        monkeypatch.setattr(COUNTERMEASURES.get(name).value, "steps", 1)
    monkeypatch.setattr(COUNTERMEASURES.get("noisy-upscaling").value, "side", 16)
    assert set(known_attacks()) == {entry.name for entry in COUNTERMEASURES if not entry.value.learns} - {"none"}
    assert known_attacks()["gridpure"]
    assert not known_attacks()["jpeg-75"]
    before = toy_picture(67, 90)
    after = (before + 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    slow = tuple(name for name, takes_minutes in known_attacks().items() if takes_minutes)
    names = ("jpeg-75", "crop-resize", "autoencoder", "colour-correction", *slow)
    task = AttackTask(save(after, tmp_path / "a.png"), save(before, tmp_path / "b.png"), names)
    progress = [message for message in attack(task, tmp_path, LIMITS) if isinstance(message, Progress)]
    figures = {name: value for message in progress for name, value in message.figures.items()}
    assert list(figures) == [f"{kind}/{name}" for name in ("", *names) for kind in ("cloak", "noise")]
    assert figures["cloak/"] == pytest.approx(1)
    assert all(0 <= value < 100 for value in figures.values())
    assert all(path.is_file() for message in progress for path in message.pictures.values())
    assert len(progress[-1].pictures) == 3


def test_speed_is_said_after_the_first_picture() -> None:
    assert _rate(0, 0.0) == 0
    assert _rate(3, 0.0) > 0
