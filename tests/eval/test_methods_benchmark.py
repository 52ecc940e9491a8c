"""The benchmark of all methods, on a toy model."""

import json
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.benchmarks import methods
from cloak_eval.benchmarks.__main__ import main
from cloak_eval.benchmarks.methods import MethodsResult
from cloak_eval.benchmarks.tables import methods_table


def test_rows_are_measured_once_and_tabulated(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "one_core_each", ThreadPoolExecutor)
    model = write_toy_pipeline(tmp_path / "toy", "miniature")
    (tmp_path / "art" / "artist").mkdir(parents=True)
    samples = (toy_picture(40, 48)[0].permute(1, 2, 0) * 255).byte().numpy()
    Image.fromarray(samples).save(tmp_path / "art" / "artist" / "one.jpg")
    out = tmp_path / "methods.json"
    command = ["methods", "--art", str(tmp_path / "art"), "--model", str(model), "--steps", "2", "--out", str(out)]
    assert main([*command, "--methods", "noise", "advdm"]) == 0
    first = json.loads(out.read_text())
    assert set(first["rows"]) == {"noise on artist/one", "advdm on artist/one"}
    row = first["rows"]["advdm on artist/one"]
    assert row["lpips"] <= 0.015
    shifts = {"text_shift_noise", "prompt_shift_noise", "seen_shift_noise"}
    assert {"pull_noise", "denoising_change_noise", *shifts} <= set(row)
    assert main([*command, "--methods", "noise", "advdm"]) == 0
    assert json.loads(out.read_text())["provenance"] == first["provenance"]  # nothing was done again
    assert main([*command[:-3], "3", *command[-2:], "--methods", "noise"]) == 0
    assert set(json.loads(out.read_text())["rows"]) == {"noise on artist/one"}  # other settings, other rows
    assert "| `noise` | 0.0" in methods_table(MethodsResult.model_validate_json(out.read_bytes()))
