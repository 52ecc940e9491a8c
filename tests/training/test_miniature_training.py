"""The time-boxed loop, the optimiser and the losses of the miniature's parts."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from training.miniature.autoencoder import loss_of, new_model
from training.miniature.clip import contrastive_loss, unit
from training.miniature.denoiser import LARGEST_RATIO, Steps, weights_of
from training.optimisation import Optimiser, follow, learning_rate, train


class _Line:
    """A model that learns to double its input."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.Linear(16, 16))
        self.models: dict[str, nn.Module] = {"model": self.model}
        self.optimiser = Optimiser([self.model], rate=0.02)
        self.calls: list[float] = []

    def step(self, *, done: float) -> dict[str, float]:
        self.calls.append(done)
        x = torch.randn(32, 16, generator=torch.Generator().manual_seed(len(self.calls)))
        loss = (self.model(x) - 2 * x).square().mean()
        loss.backward()
        self.optimiser.step(done=done)
        return {"loss": float(loss.detach())}

    def export(self, work: Path, numbers: dict[str, float]) -> None:  # noqa: ARG002
        (work / "exported").touch()


def test_rate_warms_up_stays_and_falls_to_zero() -> None:
    assert 0 < learning_rate(0.0) < 0.1
    assert learning_rate(0.1) == learning_rate(0.4) == 1
    assert learning_rate(0.7) == pytest.approx(0.5)
    assert learning_rate(1.0) == learning_rate(1.2) == 0


def test_matrices_get_muon_and_tables_norms_and_biases_do_not() -> None:
    model = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 16), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 3, 3))
    muon, adam = Optimiser([model], rate=0.1).parts
    assert [tuple(p.shape) for p in muon.param_groups[0]["params"]] == [(16, 16), (16, 16, 3, 3)]
    assert len(adam.param_groups[0]["params"]) == 5


def test_loop_learns_logs_and_goes_on_from_its_state(tmp_path: Path) -> None:
    first = _Line()
    train(first, tmp_path, minutes=0.01)
    assert (tmp_path / "exported").exists()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
    again = _Line()
    train(again, tmp_path, minutes=0.01)
    assert again.calls == []
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True))
    longer = _Line()
    train(longer, tmp_path, minutes=0.012)
    assert longer.calls[0] >= 0.8


def test_average_follows_quickly_first() -> None:
    steps = Steps()
    assert steps.average_decay() < 0.2
    steps.count.fill_(10**6)
    assert steps.average_decay() == 0.999
    slow, fast = nn.Linear(2, 2), nn.Linear(2, 2)
    follow(slow, fast, decay=0.0)
    assert torch.equal(slow.weight, fast.weight)


def test_weights_are_those_of_the_velocity() -> None:
    alphas = torch.tensor([0.01, 0.5, 0.99])
    ratio = alphas / (1 - alphas)
    assert torch.allclose(weights_of(alphas), ratio.clamp(max=LARGEST_RATIO) / (ratio + 1))


def test_contrast_is_small_for_the_right_pairs_only() -> None:
    vectors = unit(torch.eye(4, 8))
    same = torch.eye(4, dtype=torch.bool)
    scale = torch.tensor(4.0)
    assert contrastive_loss(vectors, vectors, scale, same) < 0.01
    assert contrastive_loss(vectors, vectors.roll(1, 0), scale, same) > 10


def test_autoencoder_is_that_of_stable_diffusion_in_shape() -> None:
    model = new_model()
    x = torch.rand(1, 3, 64, 64)
    loss, report = loss_of(model, x)
    loss.backward()
    assert torch.isfinite(loss)
    assert set(report) == {"l1", "mse", "kl"}
    assert model.encode(2 * x - 1).latent_dist.mean.shape == (1, 4, 8, 8)
    assert sum(p.numel() for p in model.parameters()) < 4_000_000  # 8 MB in half precision
    assert sum(isinstance(m, nn.GroupNorm) for m in model.modules()) > 30
