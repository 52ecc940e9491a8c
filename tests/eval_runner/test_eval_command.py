"""`cloak eval`: what it prints, writes and returns."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloak.cli import engine
from cloak.cli.main import run
from cloak_eval.experiments import CellEvent, cells_of, read_experiment


def test_list_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["kind"] for row in rows} == {"mimic", "countermeasure", "metric"}
    assert {"lora", "noisy-upscaling", "protection-success"} <= {row["name"] for row in rows}


def test_report_without_results_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "report", str(tmp_path)]) == 1
    assert "No results were found" in capsys.readouterr().err


@pytest.mark.parametrize(("statuses", "code"), [(["done", "skipped"], 0), (["done", "failed"], 3), (["failed"], 1)])
def test_run_reports_each_cell_and_ends_with_the_right_code(
    statuses: list[Any], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Evaluation:
        read_experiment = staticmethod(read_experiment)

        @staticmethod
        def run_experiment(matrix: Any, **options: Any) -> Any:
            assert options["art"] == [tmp_path]
            cell = cells_of(matrix)[0]
            for index, status in enumerate(statuses, 1):
                yield CellEvent(cell, status, index, len(statuses), "it broke" if status == "failed" else None)

    monkeypatch.setattr(engine, "evaluation", Evaluation)
    quick = Path(__file__).parents[2] / "eval" / "experiments" / "quick.toml"
    assert run(["eval", "run", str(quick), "--art", str(tmp_path), "--json"]) == code
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["status"] for row in rows] == statuses
