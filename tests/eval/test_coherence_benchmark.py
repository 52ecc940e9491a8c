"""The benchmark of directions: its arithmetic, and its run on a toy model."""

import json

import pytest
import torch
from PIL import Image

from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.benchmarks.__main__ import main
from cloak_eval.benchmarks.coherence import coherence_of


def test_equal_shifts_are_kept_whole_and_opposite_ones_not_at_all():
    way = torch.tensor([0.0, 1.0, 0.0, 0.0])
    same = coherence_of(torch.tensor([[0.0, 2.0, 0.0, 0.0]] * 3))
    assert same == pytest.approx({"cosine": 1, "shift": 1, "average": 1, "kept": 1})
    opposite = coherence_of(torch.stack([way, -way]))
    assert (opposite["cosine"], opposite["average"]) == pytest.approx((-1, 0))


def test_independent_shifts_lose_the_square_root():
    found = coherence_of(torch.randn(16, 4000, generator=torch.Generator().manual_seed(0)))
    assert found["cosine"] == pytest.approx(0, abs=0.02)
    assert found["kept"] == pytest.approx(1 / 4, abs=0.02)
    assert found["shift"] == pytest.approx(1, abs=0.02)


def test_every_direction_stands_beside_noise(tmp_path, capsys):
    model = write_toy_pipeline(tmp_path / "toy", "miniature")
    (tmp_path / "art" / "artist").mkdir(parents=True)
    for seed in range(3):
        samples = (toy_picture(40, 48, seed=seed)[0].permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(samples).save(tmp_path / "art" / "artist" / f"{seed}.jpg")
    out = tmp_path / "coherence.json"
    command = ["coherence", "--art", str(tmp_path / "art"), "--model", str(model), "--out", str(out)]
    assert (
        main([*command, "--steps", "1", "--side", "40", "--styles", "wash", "waves", "--methods", "glaze", "artcloak"])
        == 0
    )
    found = json.loads(out.read_text())
    arms = ["glaze, one", "glaze, noise", "glaze, mixed", "artcloak, none", "artcloak, noise"]
    assert list(found["summary"]) == arms
    one, noise = found["summary"]["glaze, one"], found["summary"]["glaze, noise"]
    assert set(one) == {"visible", "style", "latent", "embedding"}
    assert noise["visible"]["lpips"] == pytest.approx(one["visible"]["lpips"], rel=0.1)
    targets = [row["targets"] for row in found["rows"] if row["direction"] in ("one", "mixed")]
    assert targets == [["wash"] * 3, ["waves"] * 3, ["wash", "waves", "wash"], ["waves", "wash", "waves"]]
    assert len(found["auto"]["artist"]) == 3
    assert main(["tables", str(out)]) == 0
    assert f"| glaze, one | {one['style']['kept']:.2f} | " in capsys.readouterr().out
