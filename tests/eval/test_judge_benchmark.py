"""The published accuracy of the judge, on two artists that differ at a glance."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.benchmarks.__main__ import main
from cloak_eval.benchmarks.judge import JudgeResult
from cloak_eval.benchmarks.tables import confusion_table, judge_table


@pytest.fixture
def art(tmp_path: Path) -> list[Path]:
    tints = {
        ("first", "anna"): (1.0, 0.5, 0.2),
        ("first", "bert"): (0.2, 0.5, 1.0),
        ("second", "cleo"): (0.2, 1.0, 0.2),
    }
    for (folder, artist), tint in tints.items():
        place = tmp_path / folder / artist
        place.mkdir(parents=True)
        for index in range(8):
            picture = toy_picture(48, 56, seed=index)[0] * torch.tensor(tint)[:, None, None]
            Image.fromarray((picture * 255).byte().permute(1, 2, 0).numpy()).save(place / f"{index}.png")
    return [tmp_path / "first", tmp_path / "second"]


def test_accuracy_and_confusion_are_published_for_the_first_folder_and_for_all(art: list[Path], tmp_path: Path) -> None:
    model, out = write_toy_pipeline(tmp_path / "toy", "sd15"), tmp_path / "judge.json"
    command = ["judge", "--art", *map(str, art), "--model", str(model), "--crops", "1", "--out", str(out)]
    command += ["--work", str(tmp_path / "work")]
    assert main(command) == 0
    result = JudgeResult.model_validate_json(out.read_bytes())
    assert [row.gallery for row in result.rows] == ["first", "first+second"]
    assert result.summary["first"]["clean"] >= 0.75  # each probe learns from six or seven pictures
    confusion = result.rows[0].report["confusions"]["clean"]
    assert [sum(row) for row in confusion] == [8, 8]
    assert result.rows[1].report["held_out_pictures"] == 24
    assert "| 2 (first) | 0 | 16 | 16 | 50 % | " in judge_table(result)
    assert f"| bert | {confusion[1][0]} | {confusion[1][1]} | " in confusion_table(result.rows[0].report)


def test_one_name_for_two_artists_is_refused(
    art: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_toy_pipeline(tmp_path / "toy", "sd15")
    (art[1] / "cleo").rename(art[1] / "anna")
    command = [
        "judge",
        "--art",
        *map(str, art),
        "--model",
        str(model),
        "--crops",
        "1",
        "--out",
        str(tmp_path / "o.json"),
    ]
    assert main(command) == 2
    assert "same name" in capsys.readouterr().err
