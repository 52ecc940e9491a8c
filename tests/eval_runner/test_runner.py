"""A matrix: every cell once, whatever kills the runner, and the same numbers every time."""

import contextlib
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from cloak.errors import InputError, UsageError
from cloak_eval.benchmarks.__main__ import main as benchmark
from cloak_eval.experiments import CellResult, Experiment, cells_of, read_experiment, run_experiment
from cloak_eval.metrics import Interval
from cloak_eval.report import to_markdown, write_report
from cloak_eval.summary import BOUND_NAMES, build_report

RUNNER = """
import contextlib
import signal
import sys
import time
from pathlib import Path
from cloak_eval.experiments import Experiment, run_experiment
settings, art, results, work, workers, engine, busy = sys.argv[1:]
events = run_experiment(Experiment.model_validate_json(settings), art=[Path(art)], results=Path(results),
                        work=Path(work), workers=int(workers), engine=engine)
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with it ignored
    with contextlib.closing(events):
        for event in events:
            print(event.status, event.cell.name, event.error, flush=True)
            time.sleep(float(busy))
"""


def run(experiment: Experiment, art: Path, place: Path) -> dict[str, str]:
    events = run_experiment(experiment, art=[art], results=place / "results", work=place / "work")
    return {event.cell.name: event.status for event in events}


def results(place: Path) -> dict[str, CellResult]:
    files = sorted((place / "results" / "toy").glob("*.json"))
    return {file.stem: CellResult.model_validate_json(file.read_bytes()) for file in files}


def figures(place: Path) -> dict[str, str]:
    return {name: json.dumps({k: m.model_dump() for k, m in r.metrics.items()}) for name, r in results(place).items()}


@pytest.fixture(scope="module")
def finished_run(experiment: Experiment, toy_art: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished")
    assert set(run(experiment, toy_art, place).values()) == {"done"}, {n: r.error for n, r in results(place).items()}
    return place


def test_cells_hold_the_controls(experiment: Experiment) -> None:
    cells = cells_of(experiment.model_copy(update={"countermeasures": ("none", "jpeg-75")}))
    assert len({cell.name for cell in cells}) == len(cells) == 2 + 3 * 2
    assert {cell.method for cell in cells} == {"clean", "noise", "artcloak"}
    assert [(cell.method, cell.mimic) for cell in cells if cell.is_bound] == [("clean", "none"), ("clean", "copy")]
    copying = cells_of(experiment.model_copy(update={"mimics": ("copy",)}))
    assert len({cell.name for cell in copying}) == len(copying) == 1 + 3


def test_finished_cells_are_skipped(experiment: Experiment, toy_art: Path, finished_run: Path) -> None:
    assert set(run(experiment, toy_art, finished_run).values()) == {"skipped"}


def test_same_seed_gives_the_same_numbers(
    experiment: Experiment, toy_art: Path, finished_run: Path, tmp_path: Path
) -> None:
    run(experiment.model_copy(update={"methods": ()}), toy_art, tmp_path)
    name = "anna--clean--lora--none--0"
    assert figures(tmp_path)[name] == figures(finished_run)[name]


def test_results_say_where_they_come_from(finished_run: Path) -> None:
    done = results(finished_run)
    noise, cloaked, clean = (
        done[f"anna--{arm}--lora--none--0"] for arm in ("noise-balanced", "artcloak-balanced", "clean")
    )
    visible = [result.metrics["lpips"].figure.value for result in (noise, cloaked, clean)]
    assert visible[0] == pytest.approx(visible[1], rel=0.05)
    assert visible[2] == 0
    assert cloaked.weights
    assert cloaked.provenance.versions
    assert len(cloaked.pictures) == 2
    assert (finished_run / "results" / "toy" / "anna--clean--lora--none--0.jpg").is_file()


def test_another_tools_pictures_are_a_method_and_what_fails_is_recorded(
    experiment: Experiment, toy_art: Path, finished_run: Path
) -> None:
    external = {"glaze": toy_art, "mist": finished_run / "nothing"}
    compared = experiment.model_copy(update={"methods": ("glaze", "mist"), "external": external})
    place = finished_run.parent / "external"
    status = run(compared, toy_art, place)
    assert status["anna--glaze-balanced--lora--none--0"] == "done"
    assert status["anna--mist-balanced--lora--none--0"] == "failed"
    failed = results(place)["anna--mist-balanced--lora--none--0"]
    assert "InputError" in str(failed.error)
    assert failed.metrics == {}


def test_report_of_toys_is_inconclusive_and_self_contained(finished_run: Path, tmp_path: Path) -> None:
    page, text = write_report([finished_run / "results"], tmp_path / "report")
    assert "data:image/jpeg;base64," in page.read_text()
    assert "http" not in page.read_text()
    assert ("## Inconclusive" in text.read_text()) or ("| clean |" in text.read_text())
    with pytest.raises(InputError, match="No results"):
        write_report([tmp_path], tmp_path / "report")


def judged(
    results: list[CellResult], success: dict[str, list[float]], name: str = "protection-success"
) -> list[CellResult]:
    """The same cells with other answers of the classifier, by "method mimic"."""
    changed = []
    for result in results:
        rows = success[f"{result.cell.method} {result.cell.mimic}"]
        figure = Interval(value=sum(rows) / len(rows), low=0, high=1, n=len(rows))
        metric = result.metrics[name].model_copy(update={"figure": figure, "rows": rows})
        changed.append(result.model_copy(update={"metrics": {**result.metrics, name: metric}}))
    return changed


def test_report_says_whom_the_judge_names(finished_run: Path) -> None:
    cells = list(results(finished_run).values())
    assert all(sum(result.called.values()) == 2 for result in cells)
    named = {"none": {"anna": 1, "bert": 3}, "copy": {"anna": 3, "bert": 1}, "lora": {"anna": 4, "bert": 0}}
    report = build_report([result.model_copy(update={"called": named[result.cell.mimic]}) for result in cells])
    assert report.called == {
        "no fine-tune, asked for anna": {"anna": 0.25, "bert": 0.75},
        "copies of anna": {"anna": 0.75, "bert": 0.25},
        "lora of anna": {"anna": 1.0, "bert": 0.0},
    }
    assert "| no fine-tune, asked for anna | 25 % | 75 % |" in to_markdown(report)


def test_report_compares_probabilities_with_clean_pictures_after_the_same_attack(finished_run: Path) -> None:
    cells = list(results(finished_run).values())
    answers = {"clean none": [1.0] * 2, "clean copy": [0.0] * 2}
    answers |= {f"{method} lora": [0.0] * 2 for method in ("clean", "noise", "artcloak")}
    alone = [c for c in judged(cells, answers) if c.cell.countermeasure == "none"]
    trained = [c for c in alone if c.cell.mimic == "lora"]
    blurred = [c.model_copy(update={"cell": c.cell.model_copy(update={"countermeasure": "blur"})}) for c in trained]
    before = {"clean lora": [0.9, 0.7], "noise lora": [0.9, 0.7], "artcloak lora": [0.5, 0.5]}
    after = {"clean lora": [0.8, 0.6], "noise lora": [0.8, 0.6], "artcloak lora": [0.9, 0.6]}
    shifts = [*judged(trained, before, "style-probability"), *judged(blurred, after, "style-probability")]
    report = build_report([*(c for c in alone if c.cell.is_bound), *shifts])
    found = {(r.arm, r.countermeasure): r.shift.value for r in report.rows if r.shift}
    assert found == {
        ("noise balanced", "none"): 0,
        ("noise balanced", "blur"): 0,
        ("artcloak balanced", "none"): pytest.approx(-0.3),
        ("artcloak balanced", "blur"): pytest.approx(0.05),
    }
    assert {row.arm for row in report.ranking} == {"noise balanced", "artcloak balanced"}
    partly = build_report(
        [c for c in [*alone, *blurred] if (c.cell.method, c.cell.countermeasure) != ("artcloak", "blur")]
    )
    assert [row.arm for row in partly.ranking] == ["noise balanced"]  # a worst case of fewer attacks does not compare
    lines = to_markdown(report).split("Change of the probability")[1].splitlines()
    assert "| arm | LPIPS | none | blur |" in lines
    assert any("| -30.0 (" in line and "| +5.0 (" in line for line in lines)
    over = to_markdown(report).split("## Change of the probability over no attack")[1].splitlines()
    cloak = next(line.split(" | ") for line in over if line.startswith("| artcloak balanced"))
    assert cloak[1] == "1"
    assert (cloak[3], cloak[5]) == ("none", "blur")
    assert cloak[2].startswith("-30.0 (")
    assert cloak[4].startswith("+5.0 (")


def test_report_shows_every_seed_of_an_artist_and_no_cloak_of_a_seed_that_failed(finished_run: Path) -> None:
    cells = list(results(finished_run).values())
    cloaks = {"noise lora": [0.0] * 4, "artcloak lora": [1.0, 1, 0, 0]}
    bounds = {"clean none": [1.0, 1, 1, 0], "clean copy": [0.0] * 4}
    first = judged(cells, {**bounds, **cloaks, "clean lora": [0.0] * 4})
    again = [c.model_copy(update={"cell": c.cell.model_copy(update={"seed": 1})}) for c in cells]
    failed = judged(again, {**bounds, **cloaks, "clean none": [1.0] * 4, "clean lora": [1.0, 1, 0, 0]})
    report = build_report([*first, *failed])
    found = {each.arm: (each.given.value, tuple(each.seeds)) for each in report.attributions}
    assert found == {
        "copies": (1, (1, 1)),
        "no fine-tune": (0.125, (0.25, 0)),
        "clean": (0.75, (1, 0.5)),
        "noise balanced": (1, (1,)),
        "artcloak balanced": (0.5, (0.5,)),
    }
    lines = to_markdown(report).splitlines()
    assert any(line.startswith("| anna | clean | 75 (") and line.endswith("| 100, 50 |  |") for line in lines)


def test_report_gives_numbers_only_where_the_clean_mimic_succeeds(finished_run: Path) -> None:
    cells = list(results(finished_run).values())
    answers = {
        "clean none": [1.0] * 4,
        "clean copy": [0.0, 0, 0, 1],
        "clean lora": [0.0] * 4,
        "noise lora": [0.0] * 4,
        "artcloak lora": [1.0, 1, 1, 0],
    }
    report = build_report(judged(cells, answers))
    assert not report.inconclusive
    row = next(row for row in report.rows if row.arm == "artcloak balanced" and row.countermeasure == "none")
    assert row.success.value == 0.75
    assert row.gain is not None
    assert row.gain.value == 0.75
    assert [row.arm for row in report.ranking] == ["artcloak balanced", "noise balanced"]
    assert "75 (" in to_markdown(report)
    assert "| arm | lpips (lower is better) |" in to_markdown(report)
    success = {measure.arm: measure.figure.value for measure in report.measures if measure.metric.endswith("success")}
    assert success == {"copies": 0.25, "no fine-tune": 1, "clean": 0, "noise balanced": 0, "artcloak balanced": 0.75}
    assert to_markdown(report).index("| copies |") < to_markdown(report).index("| no fine-tune |")
    changes = {(change.arm, change.metric): change.figure.value for change in report.changes}
    assert changes["artcloak balanced", "protection-success"] == 0.75
    assert changes["noise balanced", "protection-success"] == 0
    assert {metric for _, metric in changes} == {"protection-success", "style-probability"}
    assert "paired by prompt and seed" in to_markdown(report)
    assert "| anna | copies | 75 (0 to 100) | 75 |  |" in to_markdown(report)
    weak = build_report(judged(cells, {**answers, "clean lora": [1.0, 0, 0, 1.0]}))
    assert list(weak.inconclusive) == [("anna", "lora", 0)]
    assert weak.rows == []
    # What is drawn says nothing, what is seen does.
    assert {m.metric for m in weak.measures if m.arm not in BOUND_NAMES.values()} == {"lpips"}
    named = [c.model_copy(update={"settings": {**c.settings, "mimics": ["none", "lora"]}}) for c in cells]
    assert not build_report(judged(named, answers)).inconclusive  # naming the control is no mistake
    known = build_report(judged(cells, {**answers, "clean none": [0.0] * 4}))
    assert "without fine-tune" in next(iter(known.inconclusive.values()))


def test_matrices_are_tallied_from_folders_of_results(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"clean none": [1.0] * 4, "clean copy": [0.0] * 4, "clean lora": [0.0] * 4, "noise lora": [0.0] * 4}
    cells = judged(list(results(finished_run).values()), {**answers, "artcloak lora": [1.0, 1, 0, 0]})
    (tmp_path / "toy").mkdir()
    for result in cells:
        (tmp_path / "toy" / f"{result.cell.name}.json").write_text(result.model_dump_json())
    assert benchmark(["matrices", str(tmp_path / "toy")]) == 0
    shown = capsys.readouterr().out
    assert "| toy | anna | 0 | 4 | 0 |" in shown
    assert "| anna | 1 | 0 | 0 | 1 | 2 |" in shown
    assert benchmark(["matrices", str(tmp_path / "nothing")]) == InputError.exit_code


def start(
    experiment: Experiment,
    art: Path,
    place: Path,
    workers: int,
    engine: str = "local",
    *,
    new_session: bool = False,
    busy: float = 0,
) -> "subprocess.Popen[str]":
    """Run it, its main process `busy` for some seconds with each event."""
    script = place / "run.py"
    script.write_text(RUNNER)
    roots = [Path(sys.modules[name].__path__[0]).parent for name in ("cloak", "cloak_eval")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots)), "OMP_NUM_THREADS": "1"}
    arguments = [experiment.model_dump_json(), str(art), str(place / "results"), str(place / "work")]
    arguments += [str(workers), engine, str(busy)]
    command = [sys.executable, str(script), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **pipes, text=True, env=environment, start_new_session=new_session)


@pytest.mark.slow
def test_killed_at_random_it_goes_on_and_no_cell_is_lost_or_run_twice(
    experiment: Experiment, toy_art: Path, tmp_path: Path
) -> None:
    chance, done_before = random.Random(0), {}
    for _ in range(3):
        process = start(experiment, toy_art, tmp_path, 1)
        time.sleep(8 + 14 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        present = {p: p.stat().st_mtime_ns for p in (tmp_path / "results" / "toy").glob("*.json")}
        assert all(present[path] == stamp for path, stamp in done_before.items())  # nothing was written a second time
        assert all(result.status == "done" for result in results(tmp_path).values())  # nothing is half-written
        done_before = present
    output, _ = start(experiment, toy_art, tmp_path, 2).communicate(timeout=300)
    assert len(output.splitlines()) == len(results(tmp_path)) == 5
    assert output.count("skipped") == len(done_before)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
@pytest.mark.parametrize("busy", [0, 30], ids=["while it waits for them", "while it deals with an event"])
def test_ctrl_c_gives_up_what_processes_are_at(
    experiment: Experiment, toy_art: Path, tmp_path: Path, busy: float
) -> None:
    endless = {"lora": {**experiment.mimic_settings["lora"], "steps": 1_000_000}}
    process = start(
        experiment.model_copy(update={"mimic_settings": endless}), toy_art, tmp_path, 2, new_session=True, busy=busy
    )
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith("done")  # a bound, which learns nothing
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            _, errors = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):  # nobody is left
                os.killpg(process.pid, signal.SIGKILL)
    assert "KeyboardInterrupt" in errors
    assert process.returncode in {-signal.SIGINT, 130}
    assert all(result.status == "done" for result in results(tmp_path).values())


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is not installed")
def test_ray_gives_the_same_cells_and_pictures(
    experiment: Experiment, toy_art: Path, finished_run: Path, tmp_path: Path
) -> None:
    with start(experiment, toy_art, tmp_path, 2, "ray") as process:
        try:
            output, errors = process.communicate(timeout=500)
        finally:
            process.kill()
    if "timed out during startup" in errors:
        pytest.skip("this machine was too busy to start Ray within the 30 seconds that it allows")
    assert process.returncode == 0, errors
    assert sorted(line.split()[:2] for line in output.splitlines()) == sorted(
        ["done", name] for name in results(tmp_path)
    )
    assert figures(tmp_path) == figures(finished_run)
    for sheet in (tmp_path / "results" / "toy").glob("*.jpg"):
        assert sheet.read_bytes() == (finished_run / "results" / "toy" / sheet.name).read_bytes()


def test_the_remover_learns_from_other_artists_and_controls_meet_the_same_one(
    experiment: Experiment, toy_art: Path, finished_run: Path
) -> None:
    lessons = {"pictures": 2, "steps": 2, "batch": 1, "side": 16, "width": 2}
    settings = {"countermeasures": ["learned-remover"], "metrics": ["detectability", "protection-success", "lpips"]}
    attacked = Experiment.model_validate({**experiment.model_dump(mode="json"), **settings, "remover": lessons})
    place = finished_run.parent / "removed"
    assert set(run(attacked, toy_art, place).values()) == {"done"}, {n: r.error for n, r in results(place).items()}
    tensors = [load_file(path) for path in (place / "work" / "shared").glob("*.safetensors")]
    assert sum(tensor["0"].shape == (2, 3, 3, 3) for tensor in tensors) == 1  # first layer of one network


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


def test_an_experiment_says_only_what_differs_from_one_that_it_extends(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text(
        'name = "other"\nartists = ["anna"]\nmethods = ["artcloak", "mist"]\nsubjects = ["a", "b"]\n'
        "[mimic_settings.lora]\nsteps = 3\nrank = 2\n[mimic_settings.none]\nsteps = 0\n"
    )
    (tmp_path / "deeper").mkdir()
    middle, above = tmp_path / "middle.toml", tmp_path / "deeper" / "above.toml"
    middle.write_text('extends = "below.toml"\nseeds = [5]\nmethods = ["mist"]\n[mimic_settings.lora]\nsteps = 7\n')
    above.write_text('extends = "../middle.toml"\nartists = ["bert"]\n')
    read = read_experiment(above)
    assert (read.name, read.artists, read.methods, read.seeds) == ("above", ("bert",), ("mist",), (5,))
    assert read.mimic_settings == {"lora": {"steps": 7, "rank": 2}, "none": {"steps": 0}}


@pytest.mark.parametrize(
    ("extends", "error", "said"),
    [
        ('"nothing.toml"', InputError, "nothing.toml cannot be read"),
        ('"small.toml"', UsageError, "extends itself"),
        ('"../experiments/small.toml"', UsageError, "extends itself"),
        ('["a.toml", "b.toml"]', UsageError, "names one file"),
    ],
)
def test_what_cannot_be_extended_is_said(tmp_path: Path, extends: str, error: type[Exception], said: str) -> None:
    path = tmp_path / "experiments" / "small.toml"
    path.parent.mkdir()
    path.write_text(f"extends = {extends}\n")
    with pytest.raises(error, match=said):
        read_experiment(path)


def test_shipped_experiments_are_valid() -> None:
    files = sorted((Path(__file__).parents[2] / "eval" / "experiments").glob("*.toml"))
    assert {file.stem for file in files} >= {"quick", "full"}
    for file in files:
        assert cells_of(read_experiment(file))
