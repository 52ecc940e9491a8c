"""Against the model's eye and against the palette: the autoencoder is realigned, the drawings' colours are corrected.

References:
    Peng et al. 2025, CAT, ICML: contrastive adversarial training of the autoencoder on the protected pictures.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure
from cloak_eval.mimics.lora import add_adapter
from cloak_eval.mimics.training_set import training_crop

__all__ = ["ColourCorrection", "Realignment"]


@COUNTERMEASURES.register(
    "realignment",
    summary="adapters on the autoencoder, trained until it gives the protected pictures back as they look",
    reference="Peng et al. 2025, CAT, ICML",
    licence="MIT",
    extra="eval",
)
class Realignment(Countermeasure):
    """Rank 32, 150 steps of mean squared error on crops of 64 px."""

    slow = acts_on_model = True
    rank, steps, rate, side, batch = 32, 150, 5e-4, 64, 4

    def prepare(self, pipe: Any, pictures: Sequence[Tensor], generator: torch.Generator) -> None:
        vae, seed = pipe.vae, int(torch.randint(2**31, (), generator=generator))
        torch.manual_seed(seed)
        parameters = add_adapter(vae, ("conv1", "conv2", "conv_in", "conv_out"), self.rank)
        optimiser = torch.optim.AdamW(parameters, lr=self.rate)
        for _ in range(self.steps):
            chosen = torch.randint(len(pictures), (self.batch,), generator=generator).tolist()
            crops = [training_crop(pictures[at], self.side, generator, largest=2.0) for at in chosen]
            batch = 2 * torch.stack(crops).to(vae.device) - 1
            loss = nn.functional.mse_loss(vae.decode(vae.encode(batch).latent_dist.mode()).sample, batch)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        vae.requires_grad_(False)


@COUNTERMEASURES.register(
    "colour-correction",
    summary="colours of the drawings are matched to those of the published pictures",
    reference="Pitié & Kokaram 2007, linear Monge-Kantorovich map",
)
class ColourCorrection(Countermeasure):
    """Mean and covariance over all drawings are brought to those of all published pictures."""

    def correct(self, drawn: Tensor, published: Sequence[Tensor]) -> Tensor:
        source = drawn.permute(1, 0, 2, 3).reshape(3, -1)
        goal = torch.cat([picture.reshape(3, -1) for picture in published], 1)
        root = _power(_covariance(source), 0.5)
        inverse = _power(_covariance(source), -0.5)
        mapping = inverse @ _power(root @ _covariance(goal) @ root, 0.5) @ inverse
        matched = mapping @ (source - source.mean(1, keepdim=True)) + goal.mean(1, keepdim=True)
        return matched.view(3, len(drawn), *drawn.shape[-2:]).permute(1, 0, 2, 3).clamp(0, 1)


def _covariance(colours: Tensor) -> Tensor:
    """(3, 3) with a floor, so that grey pictures can be mapped too."""
    centred = colours - colours.mean(1, keepdim=True)
    return centred @ centred.T / centred.shape[1] + 1e-5 * torch.eye(3)


def _power(matrix: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    result: Tensor = vectors @ torch.diag(values.clamp_min(1e-8) ** power) @ vectors.T
    return result
