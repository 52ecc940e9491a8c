"""The benchmarks on toy models and tiny pictures: what they measure, what they write, and how they fail."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from cloak.errors import ModelError, OutputError
from cloak.objectives import DecodedUntargeted, EncoderUntargeted
from cloak.surrogates import embedded, load_surrogate, store
from cloak.testing import toy_picture, toy_surrogate, write_toy_embedded
from cloak_eval.benchmarks import agreement, contact_sheet, speed
from cloak_eval.benchmarks.__main__ import main
from cloak_eval.benchmarks.effect import EffectResult
from cloak_eval.benchmarks.objectives import ObjectivesResult
from cloak_eval.benchmarks.results import Record, provenance, write_json
from cloak_eval.teachers import VAElightEncoder


@pytest.fixture
def weights(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    write_toy_embedded(folder)
    for module in (embedded, store):
        monkeypatch.setattr(module, "embedded_folder", lambda: folder)
    return folder


def save_picture(path, seed, size=(40, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (toy_picture(size[1], size[0], seed=seed)[0].permute(1, 2, 0) * 255).byte().numpy()
    Image.fromarray(samples).convert(mode).save(path)
    return path


def test_without_a_name_the_benchmarks_are_listed(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("speed", "contact-sheet", "agreement", "effect"))


def test_wrong_input_ends_with_a_sentence(tmp_path, capsys):
    assert main(["agreement", "--art", str(tmp_path), "--weights", str(tmp_path)]) == 2
    assert "There are no pictures below" in capsys.readouterr().err


class _Number(Record):
    number: int


def test_results_are_replaced_whole_and_say_where_they_come_from(tmp_path, monkeypatch):
    path = tmp_path / "new" / "result.json"
    write_json(_Number(number=1), path)
    write_json(_Number(number=2), path)
    assert json.loads(path.read_text()) == {"number": 2}
    assert [each.name for each in path.parent.iterdir()] == ["result.json"]
    with pytest.raises(OutputError):
        write_json(_Number(number=3), tmp_path / "new")

    found = provenance()
    assert (found.device, found.threads) == ("cpu", torch.get_num_threads())
    assert {"python", "torch"} <= set(found.versions)
    monkeypatch.setenv("PATH", "")
    without_git = provenance()
    assert (without_git.commit, without_git.dirty) == (None, None)


def test_painted_picture_is_the_same_each_time():
    first, second = (speed.painted_picture(60, 40) for _ in range(2))
    assert first.size == (60, 40)
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != speed.painted_picture(60, 40, seed=1).tobytes()
    assert min(high - low for low, high in first.getextrema()) > 60


def test_speed_records_each_run(weights, tmp_path, monkeypatch, capsys):
    def call(code, *arguments):
        capsys.readouterr()
        (speed.paint_file if code == speed._PAINT else speed.protect_file)(*arguments)
        return SimpleNamespace(returncode=0, stdout=capsys.readouterr().out, stderr="", check_returncode=lambda: None)

    monkeypatch.setattr(speed, "_call", call)
    out = tmp_path / "speed.json"
    assert main(["speed", "--megapixels", "0.001", "0.0006", "--efforts", "instant", "--out", str(out)]) == 0
    report = speed.SpeedReport.model_validate_json(out.read_bytes())
    assert report.precision in ("float32", "bfloat16")
    assert [(row.width, row.height) for row in report.rows] == [(30, 20), (39, 26)]
    for row in report.rows:
        assert (row.effort, row.steps, row.models, row.error) == ("instant", 6, ["tiny-flux2", "tiny-sd1"], None)
        assert row.seconds_per_megapixel == pytest.approx(row.seconds / row.megapixels, rel=1e-3)
        assert row.peak_memory_bytes is None or row.peak_memory_bytes > 50_000_000
    assert "39 x 26" in capsys.readouterr().out


def test_speed_runs_in_other_processes_and_records_what_failed(tmp_path, capsys):
    out = tmp_path / "speed.json"
    arguments = ["--megapixels", "0.0006", "--efforts", "instant", "--models", "no-such-model", "--out", str(out)]
    assert main(["speed", *arguments]) == 1
    (row,) = speed.SpeedReport.model_validate_json(out.read_bytes()).rows
    assert "no-such-model" in row.error
    assert (row.width, row.seconds, row.peak_memory_bytes) == (30, None, None)


def test_contact_sheets(weights, tmp_path, monkeypatch):
    pictures = [save_picture(tmp_path / "examples" / f"{mode}.png", 1, mode=mode) for mode in ("RGB", "RGBA")]
    save_picture(tmp_path / "art" / "someone" / "01.png", 2, size=(32, 64))
    before = {path: path.read_bytes() for path in pictures}
    monkeypatch.chdir(tmp_path)
    assert main(["contact-sheet", "--art", "art", "--effort", "instant"]) == 0
    sizes = {}
    for name in ("contact-sheet.jpg", "contact-sheet-200.jpg"):
        assert (tmp_path / "docs" / name).stat().st_size < contact_sheet.MOST_BYTES
        with Image.open(tmp_path / "docs" / name) as sheet:
            sizes[name] = sheet.size
    assert sizes["contact-sheet.jpg"][0] > 5 * contact_sheet._CELL
    assert sizes["contact-sheet-200.jpg"][1] > 3 * 2 * 32
    assert len(list((tmp_path / "docs").iterdir())) == 2
    assert {path: path.read_bytes() for path in pictures} == before
    assert len(list((tmp_path / "examples").iterdir())) == 2


def test_contact_sheet_refuses_too_many_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["contact-sheet", "--pictures", *["a.png"] * 9]) == 2
    assert main(["contact-sheet"]) == 2
    assert "1 to 8 pictures, got 9" in capsys.readouterr().err


def test_crops_show_the_worst_flat_and_line_art_places():
    before = toy_picture(128, 128)
    before[..., 64:, :] = 0.5
    before[..., 64:, 64::4] = 0.0
    before[..., :64, 64:] = 0.7
    after = before.clone()
    after[..., 16:112, 80:112] += 0.02
    assert contact_sheet.worst_places(before, after, 32) == ((16, 80), (64, 80))


@pytest.mark.parametrize("objective", [DecodedUntargeted, EncoderUntargeted])
def test_a_model_agrees_with_itself_and_not_with_another(objective):
    x = toy_picture(64, 64)
    student, same, other = toy_surrogate(0), toy_surrogate(0), toy_surrogate(5)
    itself = agreement.compare(student, same, x, objective=objective)
    assert itself.latent_correlation == pytest.approx(1)
    assert itself.latent_r2 == pytest.approx(1)
    assert itself.gradient_cosine == pytest.approx(1)
    assert itself.psnr_between == pytest.approx(120)
    assert itself.psnr_student == itself.psnr_teacher
    apart = agreement.compare(student, other, x, objective=objective)
    assert apart.latent_correlation < 0.9
    assert abs(apart.gradient_cosine) < 0.9


def test_encoders_are_compared_without_round_trips():
    found = agreement.compare(
        toy_surrogate(0, decodes=False), toy_surrogate(0), toy_picture(32, 32), objective=EncoderUntargeted
    )
    assert (found.psnr_student, found.psnr_teacher, found.psnr_between) == (None, None, None)


def test_agreement_writes_rows_medians_and_what_is_missing(weights, tmp_path, monkeypatch, capsys):
    for number in range(5):
        save_picture(tmp_path / "art" / "someone" / f"{number}.png", number)
    pairs = (
        agreement.Pair("tiny-flux2", "toy", lambda _: toy_surrogate(3), DecodedUntargeted),
        agreement.Pair("tiny-sd1", "vaelight", agreement.load_sd1_teacher, EncoderUntargeted),
    )
    monkeypatch.setattr(agreement, "PAIRS", pairs)
    out = tmp_path / "agreement.json"
    folders = ["--art", str(tmp_path / "art"), "--weights", str(tmp_path / "weights")]
    assert main(["agreement", *folders, "--limit", "3", "--side", "32", "--out", str(out)]) == 1
    report = agreement.AgreementReport.model_validate_json(out.read_bytes())
    first, second = report.pairs
    assert [row.picture for row in first.rows] == ["someone/0.png", "someone/2.png", "someone/4.png"]
    assert first.student_sha256 == load_surrogate("tiny-flux2").sha256
    correlations = sorted(row.latent_correlation for row in first.rows)
    assert first.medians["latent_correlation"] == correlations[1]
    assert second.rows == []
    assert "vaelight_sd1_encoder.safetensors" in second.error
    assert str(tmp_path) not in out.read_text()
    assert "tiny-sd1 was not compared" in capsys.readouterr().out


def test_teacher_of_stable_diffusion_1_is_scaled_and_takes_signed_pictures(tmp_path):
    network = VAElightEncoder().eval()
    save_file(network.state_dict(), tmp_path / "vaelight_sd1_encoder.safetensors")
    teacher, x = agreement.load_sd1_teacher(tmp_path), toy_picture(32, 48)
    with torch.no_grad():
        torch.testing.assert_close(teacher.encode(x), 0.18215 * network(2 * x - 1), rtol=1e-4, atol=1e-5)
    assert teacher.capabilities == {"encode"}
    assert teacher.sha256 is not None
    with pytest.raises(ModelError, match="There is no vaelight"):
        agreement.load_sd1_teacher(tmp_path / "elsewhere")


def test_benchmarks_can_be_imported_by_child_processes():
    done = speed._call("import cloak_eval, sys; sys.stdout.write(sys.executable)")
    assert (done.returncode, done.stdout) == (0, sys.executable)


def _seen(times):
    seen = {"low_frequency": 0.004 * times, "after_colour_match": 0.01, "texture": 0.01, "lpips": 0.1}
    return {
        "short_side": 512,
        "cloak": seen,
        "noise": {**seen, "low_frequency": 0.004},
        "times_noise": times,
        "amplification": times / 2,
        "lpips": 0.002,
    }


def test_tables_say_what_the_result_files_say(tmp_path, capsys):
    def row(times, remains):
        coarse = {"model": "encoder only", "sizes": [], "remains": {}}
        return {"effects": [{"model": "student", "sizes": [_seen(times)], "remains": remains}, coarse]}

    rows = {"b/02": row(9.0, {"jpeg 75": 0.8}), "a/01": row(3.0, {"jpeg 75": 0.5}), "a/02": row(12.0, {"jpeg 75": 0.7})}
    path = tmp_path / "effect-toy.json"
    write_json(EffectResult(key={}, summary={}, provenance=provenance(), rows=rows), path)
    assert main(["tables", str(path)]) == 0
    said = capsys.readouterr().out
    summary, first, second = (line for line in said.splitlines() if line.startswith(("| student", "| a ", "| b ")))
    # pictures, times noise, amplification, how many reach 10, 3 and 4, what JPEG leaves, and how often 65 %
    assert summary == "| student | 3 | 9.0 (3.0 to 12.0) | 4.5 (1.5 to 6.0) | 1 | 3 | 2 | 70 (50 to 80) % | 2 |"
    assert first == "| a | 2 | 7.5 (3.0 to 12.0) | 3.8 (1.5 to 6.0) | 1 | 2 | 1 | 60 (50 to 70) % | 1 |"
    assert second == "| b | 1 | 9.0 | 4.5 | 0 | 1 | 1 | 80 % | 1 |"
    assert "encoder only" not in said
    assert "a/01" not in said


def test_tables_of_every_picture_are_printed_on_request(tmp_path, capsys):
    effects = [{"model": "student", "sizes": [_seen(3.0)], "remains": {"jpeg 75": 0.5}}]
    path = tmp_path / "effect-toy.json"
    write_json(EffectResult(key={}, summary={}, provenance=provenance(), rows={"a/01": {"effects": effects}}), path)
    assert main(["tables", str(path), "--pictures"]) == 0
    assert "| a/01 | 0.0020 | 0.0120 | 0.0040 | 3.0 | 1.5 | 0.0100 | 50 % |" in capsys.readouterr().out.splitlines()


def test_tables_of_objectives_give_medians_beside_their_noise(tmp_path, capsys):
    medians = {"seen_shift": 0.01017, "seen_shift_noise": 0.00143, "pull": -0.00003, "pull_noise": 0.00143}
    summary = {"decoded_untargeted": {"student": medians, "teacher": {**medians, "seen_shift": 0.0035}}}
    path = tmp_path / "objectives.json"
    write_json(ObjectivesResult(summary=summary, provenance=provenance(), rows=[]), path)
    assert main(["tables", str(path)]) == 0
    assert "| `decoded_untargeted` | 0.0102 | 0.0014 | 0.0035 | 0.0014 | -0.0000 |" in capsys.readouterr().out
