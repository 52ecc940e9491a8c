"""Memory at the published size: the configurations are the published ones, the counting is right, the limits hold."""

import json

import pytest
import torch

from cloak.surrogates import load_surrogate
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.toy_pipelines import write_toy_pipeline
from cloak_eval.benchmarks import memory
from cloak_eval.benchmarks.__main__ import main

PUBLISHED_BYTES = {  # of the half-precision weight files, header included
    ("sd15", "unet"): 1_719_125_304,
    ("sd15", "text_encoder"): 246_144_152,
    ("sdxl", "unet"): 5_135_149_760,
    ("sdxl", "text_encoder_2"): 1_389_382_176,
}


@pytest.mark.parametrize(("model", "part"), PUBLISHED_BYTES, ids=lambda name: name)
def test_networks_are_as_large_as_the_published_ones(model, part):
    numbers = sum(tensor.numel() for tensor in memory.published_part(model, part).parameters())
    header = PUBLISHED_BYTES[model, part] - 2 * numbers
    assert 0 < header < 300_000


def test_it_counts_what_is_alive_together():
    with memory.Allocation() as allocation:
        x = torch.empty(1000, device="meta")
        y = x + 1
        del x
        z = y.view(10, 100) * 2  # a view is no new memory
        del y
    assert (allocation.live, allocation.peak) == (4000, 8000)
    del z
    assert allocation.live == 0


def test_the_meta_device_counts_what_a_real_one_allocates(tmp_path):
    surrogate = load_surrogate(write_toy_pipeline(tmp_path / "toy"))
    peaks = {}
    for device in ("cpu", "meta"):
        module = surrogate.module.to(device)
        autoencoder = DiffusersAutoencoder(module, name="toy", family="toy").to(device)
        with memory._attention_in_blocks() if device == "meta" else torch.enable_grad():
            allocation = memory.Allocation().ignore(module)
            with allocation:
                x = torch.rand(1, 3, 64, 64, device=device, requires_grad=True)
                torch.autograd.grad(autoencoder.see(x).mean(), x)
        peaks[device] = allocation.peak
    assert peaks["meta"] == pytest.approx(peaks["cpu"], rel=0.1)


def test_a_gradient_fits_8_gb_of_accelerator_and_16_gb_of_ram_at_1024():
    largest = "encoder and denoiser"
    rows = [
        memory._cost("sdxl", largest, 1024, torch.bfloat16, True),
        memory._cost("sdxl", largest, 1024, torch.float32, True),
        memory._cost("sd15", "autoencoder", 1024, torch.bfloat16, True),
    ]
    for row in rows:
        assert row.total_bytes < (8e9 if row.precision == "bfloat16" else 16e9), row
    assert rows[-1].parameters == 83_653_863


def test_the_command_writes_and_shows_the_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(memory, "_PARTS", memory._PARTS[:1])
    out = tmp_path / "memory.json"
    assert main(["memory", "--side", "64", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "| sdxl | autoencoder | 83.7 M | 0.17 |" in said
    report = json.loads(out.read_text())
    assert report["side"] == 64
    assert len(report["costs"]) == 8
    assert report["measured"] == []


def test_what_to_measure_is_checked(capsys):
    with pytest.raises(SystemExit):
        main(["memory", "--measure", "sd15"])
    assert "give one of sd15, sdxl and a side, as in sd15:256" in capsys.readouterr().err
