"""A matrix: every cell once, whatever kills the runner, and the same numbers every time."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloak.errors import InputError, UsageError
from cloak_eval.experiments import CellResult, Experiment, cells_of, read_experiment, run_experiment

RUNNER = """
import sys
from pathlib import Path
from cloak_eval.experiments import Experiment, run_experiment
settings, art, results, work, workers = sys.argv[1:]
events = run_experiment(Experiment.model_validate_json(settings), art=[Path(art)], results=Path(results),
                        work=Path(work), workers=int(workers))
if __name__ == "__main__":
    for event in events:
        print(event.status, event.cell.name, event.error, flush=True)
"""


def run(experiment: Experiment, art: Path, place: Path) -> dict[str, str]:
    events = run_experiment(experiment, art=[art], results=place / "results", work=place / "work")
    return {event.cell.name: event.status for event in events}


def results(place: Path) -> dict[str, CellResult]:
    files = sorted((place / "results" / "toy").glob("*.json"))
    return {file.stem: CellResult.model_validate_json(file.read_bytes()) for file in files}


def figures(place: Path) -> dict[str, str]:
    return {name: json.dumps({k: m.model_dump() for k, m in r.metrics.items()}) for name, r in results(place).items()}


def test_cells_hold_the_controls(experiment: Experiment) -> None:
    cells = cells_of(experiment)
    assert len({cell.name for cell in cells}) == len(cells) == 1 + 3 * 2
    assert {cell.method for cell in cells} == {"clean", "noise", "artcloak"}
    assert [cell.method for cell in cells if cell.mimic == "none"] == ["clean"]


def test_all_cells_are_done_skipped_and_repeatable(experiment: Experiment, toy_art: Path, tmp_path: Path) -> None:
    first = run(experiment, toy_art, tmp_path / "a")
    assert set(first.values()) == {"done"}, {n: r.error for n, r in results(tmp_path / "a").items()}
    assert set(run(experiment, toy_art, tmp_path / "a").values()) == {"skipped"}
    run(experiment, toy_art, tmp_path / "b")
    assert figures(tmp_path / "a") == figures(tmp_path / "b")
    done = results(tmp_path / "a")["anna--noise-balanced--lora--none--0"]
    cloaked = results(tmp_path / "a")["anna--artcloak-balanced--lora--none--0"]
    assert done.metrics["lpips"].figure.value == pytest.approx(cloaked.metrics["lpips"].figure.value, rel=0.05)
    assert results(tmp_path / "a")["anna--clean--lora--none--0"].metrics["lpips"].figure.value == 0
    assert done.weights
    assert len(done.pictures) == 2
    assert (tmp_path / "a" / "results" / "toy" / "anna--clean--lora--none--0.jpg").is_file()


def test_a_failed_cell_is_recorded_and_the_rest_goes_on(experiment: Experiment, toy_art: Path, tmp_path: Path) -> None:
    broken = experiment.model_copy(update={"methods": ("glaze",), "external": {"glaze": tmp_path / "nothing"}})
    status = run(broken.model_copy(update={"countermeasures": ("none",)}), toy_art, tmp_path)
    assert status["anna--glaze-balanced--lora--none--0"] == "failed"
    assert status["anna--clean--lora--none--0"] == "done"
    failed = results(tmp_path)["anna--glaze-balanced--lora--none--0"]
    assert failed.status == "failed"
    assert "InputError" in str(failed.error)
    assert failed.metrics == {}


def test_pictures_of_another_tool_are_a_method(experiment: Experiment, toy_art: Path, tmp_path: Path) -> None:
    compared = experiment.model_copy(
        update={"methods": ("glaze",), "external": {"glaze": toy_art}, "countermeasures": ("none",)}
    )
    assert set(run(compared, toy_art, tmp_path).values()) == {"done"}


def test_other_settings_are_run_again(experiment: Experiment, toy_art: Path, tmp_path: Path) -> None:
    small = experiment.model_copy(update={"countermeasures": ("none",), "methods": ()})
    run(small, toy_art, tmp_path)
    changed = small.model_copy(update={"subjects": ("a cat", "a bird")})
    assert set(run(changed, toy_art, tmp_path).values()) == {"done"}


def start(experiment: Experiment, art: Path, place: Path, workers: int) -> "subprocess.Popen[str]":
    script = place / "run.py"
    script.write_text(RUNNER)
    roots = [Path(sys.modules[name].__path__[0]).parent for name in ("cloak", "cloak_eval")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots)), "OMP_NUM_THREADS": "1"}
    arguments = [experiment.model_dump_json(), str(art), str(place / "results"), str(place / "work"), str(workers)]
    command = [sys.executable, str(script), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_killed_at_random_it_goes_on_and_no_cell_is_lost_or_run_twice(
    experiment: Experiment, toy_art: Path, tmp_path: Path
) -> None:
    chance, done_before = random.Random(0), {}
    for _ in range(3):
        process = start(experiment, toy_art, tmp_path, 1)
        time.sleep(6 + 6 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        present = {p: p.stat().st_mtime_ns for p in (tmp_path / "results" / "toy").glob("*.json")}
        assert all(present[path] == stamp for path, stamp in done_before.items())  # nothing was written a second time
        assert all(result.status == "done" for result in results(tmp_path).values())  # nothing is half-written
        done_before = present
    output, _ = start(experiment, toy_art, tmp_path, 2).communicate(timeout=300)
    assert len(output.splitlines()) == len(results(tmp_path)) == 7
    assert output.count("skipped") == len(done_before)


def test_experiment_files_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('artists = ["anna"]\nmethods = ["clean", "artcloak"]\nsubjects = ["a", "b"]\n')
    assert read_experiment(path).name == "small"
    assert read_experiment(path).methods == ("artcloak",)
    path.write_text('artists = ["anna"]\nmethod = ["artcloak"]\nsubjects = ["a", "b"]\n')
    with pytest.raises(UsageError, match="method"):
        read_experiment(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_experiment(tmp_path / "none.toml")


def test_shipped_experiments_are_valid() -> None:
    files = sorted((Path(__file__).parents[2] / "eval" / "experiments").glob("*.toml"))
    assert {file.stem for file in files} >= {"quick", "full"}
    for file in files:
        assert cells_of(read_experiment(file))
