"""A copy of a model whose denoiser is trained a little, as somebody who fine-tunes on the pictures would."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from cloak.surrogates.base import Surrogate
from cloak.surrogates.conditioning import TextEmbedding
from cloak.surrogates.denoising import draw_noise

__all__ = ["Trained", "Trainee"]

Trained = Literal["all", "lora", "cross-attention"]
_ATTENTION = (".to_q", ".to_k", ".to_v", ".to_out.0")


class _LowRank(nn.Module):
    """Adds a product of two thin matrices to a weight; at first the product is zero.

    References:
        Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, eq. 3.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn(rank, columns, generator=generator).to(weight.device) / rank)
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


class Trainee:
    """A model of its own whose denoiser learns; the one it was made from stays as it is.

    Args:
        surrogate: with the capability "denoise".
        part: what is trained: all weights, LoRA on attention, or keys and values of cross-attention.
        rate: learning rate of AdamW.
        generator: source of chance.
        rank: of LoRA.
    """

    def __init__(
        self, surrogate: Surrogate, *, part: Trained, rate: float, generator: torch.Generator, rank: int = 4
    ) -> None:
        network = copy.deepcopy(surrogate.denoiser()).float()
        self.generator = generator
        self._parameters = _trainable(network, part, rank, generator)
        self._optimiser = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=1e-2)
        self.surrogate = surrogate.with_denoiser(network)

    def train(self, x: Tensor, text: TextEmbedding, steps: int) -> None:
        """Some steps of fine-tuning on pictures (B, 3, H, W), whose latents are computed once."""
        with torch.no_grad():
            z = self.surrogate.encode(x)
        self._trainable(True)
        with torch.enable_grad():
            for _ in range(steps):
                draw = draw_noise(z.shape, self.surrogate.timesteps, generator=self.generator, device=z.device)
                noisy = self.surrogate.add_noise(z, draw.noise, draw.timestep)
                error = self.surrogate.denoise(noisy, draw.timestep, text) - draw.noise
                self._optimiser.zero_grad()
                error.pow(2).mean().backward()  # type: ignore[no-untyped-call]
                self._optimiser.step()
        self._optimiser.zero_grad()
        self._trainable(False)

    def _trainable(self, value: bool) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(value)


def _trainable(network: nn.Module, part: Trained, rank: int, generator: torch.Generator) -> list[nn.Parameter]:
    """The parameters that learn; LoRA's are added to the network."""
    if part == "all":
        return list(network.parameters())
    if part == "cross-attention":
        ends = (".attn2.to_k.weight", ".attn2.to_v.weight")
        return [parameter for name, parameter in network.named_parameters() if name.endswith(ends)]
    adapters = []
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear) and name.endswith(_ATTENTION):
            adapters.append(_LowRank(module.weight, rank, generator))
            parametrize.register_parametrization(module, "weight", adapters[-1])
    return [parameter for adapter in adapters for parameter in adapter.parameters()]
