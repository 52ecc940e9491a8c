"""The whole denoiser is trained, and kept from forgetting what pictures look like in general.

References:
    Ruiz et al. 2022, "DreamBooth", arXiv 2208.12242, eq. 2.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from cloak_eval.mimics.base import MIMICS, Latents, Mimic, MimicConfig
from cloak_eval.mimics.denoising import denoising_loss
from cloak_eval.mimics.pipelines import embed_prompts, latent_distribution
from cloak_eval.mimics.training_set import TrainingSet

__all__ = ["DreamBooth", "DreamBoothConfig"]


class DreamBoothConfig(MimicConfig):
    """Settings of a DreamBooth run."""

    learning_rate: float = Field(default=2e-5, gt=0, description="Rate of AdamW at the first step.")
    prior_weight: float = Field(
        default=1.0, ge=0, description="Of the loss on the model's own pictures; 0 leaves it out."
    )
    prior_pictures: int = Field(default=16, ge=1, description="How many the model draws beforehand.")
    prior_prompt: str = Field(default="a picture", description="What they show.")


@MIMICS.register(
    "dreambooth",
    summary="all of the denoiser, with prior preservation on pictures that the model drew before",
    reference="Ruiz et al. 2022, arXiv 2208.12242",
)
class DreamBooth(Mimic):
    """Trains every weight of the denoiser."""

    config_class = DreamBoothConfig
    config: DreamBoothConfig
    _prior: Latents | None = None

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:  # noqa: ARG002
        if self.config.prior_weight > 0 and self.config.steps > 0:
            self._prior = self._draw_prior(pipe)
        nn.Module.to(pipe.unet, dtype=torch.float32)
        pipe.unet.requires_grad_(True)
        return list(pipe.unet.parameters())

    @torch.no_grad()
    def _draw_prior(self, pipe: Any) -> Latents:
        """What the untrained model makes of the class prompt."""
        prompts = [self.config.prior_prompt] * self.config.prior_pictures
        generators = [torch.Generator().manual_seed(index) for index in range(len(prompts))]
        pictures = torch.cat(
            [self._sample(pipe, prompts[i : i + 4], generators[i : i + 4]) for i in range(0, len(prompts), 4)]
        )
        return Latents(*latent_distribution(pipe, pictures.float().clamp(0, 1)), prompts)

    def extra_loss(self, pipe: Any, generator: torch.Generator) -> Tensor | None:
        if self._prior is None:
            return None
        latents, prompts = self._prior.draw(self.config.batch, generator)
        loss = denoising_loss(pipe, latents.to(pipe.unet.device), embed_prompts(pipe, prompts), generator)
        return self.config.prior_weight * loss.mean()
