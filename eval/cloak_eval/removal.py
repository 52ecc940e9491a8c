"""A small network that learns what a tool adds to pictures, so that it can be found and taken away again.

A thief needs no access to the artist for it: the tool is public, so pairs of other pictures, clean and cloaked, can be
made at will.

References:
    Foerster et al. 2025, "LightShed", USENIX Security (an autoencoder that predicts the perturbation, which is
    subtracted, and whose output on clean pictures is empty, so that it also detects).
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from cloak.errors import UsageError

__all__ = ["CloakRemover", "RemoverConfig", "train_remover"]


class RemoverConfig(BaseModel):
    """How the remover is made and trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    pictures: int = Field(default=12, ge=2, description="Pictures that it has clean and cloaked, of other artists.")
    steps: int = Field(default=300, ge=1, description="Optimiser steps.")
    batch: int = Field(default=4, ge=1, description="Pairs of crops in each step.")
    side: int = Field(default=64, ge=16, multiple_of=4, description="Of the crops, pixels.")
    width: int = Field(default=16, ge=1, description="Channels at full resolution; twice as many at each halving.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Of AdamW, falling to nothing along a cosine.")
    seed: int = Field(default=0, ge=0, description="Of the first weights and the crops.")


class CloakRemover(nn.Module):
    """Predicts what was added to pictures, and whether anything was.

    Args:
        width: see `RemoverConfig`.

    Shape:
        - Input: (B, 3, H, W) in [0, 1], of any size.
        - Output: what was added (B, 3, H, W), and how sure it is that something was (B,), a logit.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter = _block(3, width)
        self.down, self.deeper = _block(width, 2 * width, stride=2), _block(2 * width, 4 * width, stride=2)
        self.up, self.upper = _block(6 * width, 2 * width), _block(3 * width, width)
        self.leave = nn.Conv2d(width, 3, 3, padding=1)
        self.verdict = nn.Linear(5 * width + 1, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        nn.init.ones_(self.verdict.weight[:, :1])  # the more seems to have been added, the more suspicious

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        height, width = x.shape[-2:]
        padded = F.pad(x - 0.5, (0, -width % 4, 0, -height % 4), mode="replicate")
        fine = self.enter(padded.contiguous(memory_format=torch.channels_last))  # at most 60 % of the time on a CPU
        middle = self.down(fine)
        coarse = self.deeper(middle)
        back = self.up(torch.cat([_enlarged(coarse), middle], 1))
        last = self.upper(torch.cat([_enlarged(back), fine], 1))
        added = self.leave(last)[..., :height, :width]
        amount = (
            torch.log10(added.detach().pow(2).mean((1, 2, 3)) + 1e-8)[:, None] + 5
        )  # around 0 for the cloaks of this project
        return added, self.verdict(torch.cat([amount, coarse.mean((2, 3)), last.mean((2, 3))], 1))[:, 0]

    @torch.no_grad()
    def clean(self, picture: Tensor) -> Tensor:
        """A picture (1, 3, H, W) without what it seems to have got."""
        added: Tensor = self(picture)[0]
        return (picture - added).clamp(0, 1)

    @torch.no_grad()
    def suspicion(self, picture: Tensor) -> float:
        """How much a picture (3, H, W) looks as if it were cloaked; only the order of the values means anything."""
        return float(self(picture[None])[1])


def _block(entering: int, leaving: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, stride=stride, padding=1),
        nn.SiLU(),
        nn.Conv2d(leaving, leaving, 3, padding=1),
        nn.SiLU(),
    )


def _enlarged(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


@torch.enable_grad()  # metrics, which run without gradients, may be the first to need it
def train_remover(clean: Sequence[Tensor], cloaked: Sequence[Tensor], config: RemoverConfig) -> CloakRemover:
    """Learn from pairs: squared error of what was added, in units of its size, and cross entropy of the verdict.

    Half of each batch is cloaked, the other half is the same crops without cloak, to which nothing was added.

    Args:
        clean: pictures (3, H, W) in [0, 1], each at least `config.side` large.
        cloaked: the same pictures after the tool, in the same order.
        config: how.

    Raises:
        UsageError: there are no pairs, or they do not match.
    """
    if not clean or [each.shape for each in clean] != [each.shape for each in cloaked]:
        raise UsageError(
            f"A cloak remover learns from pairs of equal size, got {len(clean)} and {len(cloaked)} pictures."
        )
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # torch's layers take their first weights from the global generator
        network = CloakRemover(config.width).to(memory_format=torch.channels_last)
    size = torch.stack([(y - x).pow(2).mean() for x, y in zip(clean, cloaked, strict=True)]).mean().clamp_min(1e-8)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    labels = torch.tensor([0.0, 1.0]).repeat_interleave(config.batch)
    for _ in range(config.steps):
        before, after = _crops(clean, cloaked, config, generator)
        added, found = network(torch.cat([before, after]))
        wanted = torch.cat([torch.zeros_like(before), after - before])
        loss = F.mse_loss(added, wanted) / size + F.binary_cross_entropy_with_logits(found, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def _crops(
    clean: Sequence[Tensor], cloaked: Sequence[Tensor], config: RemoverConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The same random squares of both, at their own size, since a cloak does not survive resizing unchanged."""
    pairs: list[Any] = []
    for at in torch.randint(len(clean), (config.batch,), generator=generator).tolist():
        height, width = clean[at].shape[-2:]
        side = config.side
        top, left = (int(torch.randint(length - side + 1, (), generator=generator)) for length in (height, width))
        place = (slice(None), slice(top, top + side), slice(left, left + side))
        pairs.append((clean[at][place], cloaked[at][place]))
    before, after = zip(*pairs, strict=True)
    return torch.stack(before), torch.stack(after)
