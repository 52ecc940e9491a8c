"""Imitation without training: the artist's own picture is drawn over.

References:
    Meng et al. 2021, "SDEdit", arXiv 2108.01073.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from cloak_eval.mimics.base import MIMICS, Mimic, MimicConfig
from cloak_eval.mimics.pipelines import autocast, resolution_of
from cloak_eval.mimics.training_set import TrainingSet, training_crop

__all__ = ["ImageToImage", "ImageToImageConfig"]


class ImageToImageConfig(MimicConfig):
    """Settings of image-to-image imitation."""

    strength: float = Field(default=0.6, gt=0, le=1, description="Share of the noise levels that are gone through.")


@MIMICS.register(
    "image-to-image",
    summary="no training: new subjects are drawn over the artist's own pictures",
    reference="Meng et al. 2021, arXiv 2108.01073",
)
class ImageToImage(Mimic):
    """Keeps the artist's pictures and starts every drawing from one of them."""

    config_class = ImageToImageConfig
    config: ImageToImageConfig

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:
        side, generator = self.config.resolution or resolution_of(pipe), torch.Generator().manual_seed(0)
        self._starts = torch.stack([training_crop(each, side, generator, largest=1.0) for each in training.pictures])
        return []

    def _sample(self, pipe: Any, prompts: list[str], generators: list[torch.Generator]) -> Tensor:
        from diffusers import AutoPipelineForImage2Image

        over: Any = AutoPipelineForImage2Image.from_pipe(pipe)
        over.set_progress_bar_config(disable=True)
        # Which picture is drawn over depends on the picture's own generator, so that all arms take the same.
        chosen = [int(torch.randint(len(self._starts), (), generator=generator)) for generator in generators]
        options: dict[str, Any] = {"guidance_scale": self.config.guidance, "output_type": "pt"}
        options |= {"num_inference_steps": self.config.sampling_steps, "strength": self.config.strength}
        with autocast(pipe, self.config.dtype(pipe.unet.device)):
            pictures: Tensor = over(prompt=prompts, image=self._starts[chosen], generator=generators, **options).images
        return pictures
