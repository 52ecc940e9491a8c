"""`cloak selftest` from the command line to the page, on an untrained toy."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from cloak.cli.main import run
from cloak.testing import toy_picture
from cloak_eval import selftest


def test_selftest_writes_a_page_with_verdict_and_quiz(
    toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for index in range(8):
        samples = (toy_picture(64, 64, seed=index)[0] * 255).byte().permute(1, 2, 0)
        Image.fromarray(torch.Tensor.numpy(samples)).save(mine / f"{index}.png")
    plan = selftest.plan_selftest

    def quick(*args: Path, **options: str) -> object:
        settings = {name: {"steps": 1, "sampling_steps": 1} for name in ("lora", "none")}
        update = {"mimic_settings": settings, "judge_crops": 1, "effort": "instant", "countermeasures": ("none",)}
        return plan(*args, **options).model_copy(update={**update, "metrics": ("protection-success",)})  # type: ignore[arg-type]

    monkeypatch.setattr(selftest, "plan_selftest", quick)
    code = run(["selftest", str(mine), "--model", str(toy_model), "--report", str(tmp_path / "out"), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert said["verdict"]
    page = Path(said["page"]).read_text()
    assert page.count("Which is more in your style?") == 6
    assert "http" not in page


def test_too_few_pictures_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "one.png")
    assert run(["selftest", str(tmp_path)]) == 2
    assert "at least 8" in capsys.readouterr().err
