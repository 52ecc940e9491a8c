"""Only where the text enters: keys and values of the denoiser's cross-attention.

References:
    Kumari et al. 2022, "Multi-Concept Customization of Text-to-Image Diffusion", arXiv 2212.04488, section 3.2.
"""

from typing import Any

import torch
from pydantic import Field
from torch import nn

from cloak_eval.mimics.base import MIMICS, Mimic, MimicConfig
from cloak_eval.mimics.training_set import TrainingSet

__all__ = ["CustomDiffusion", "CustomDiffusionConfig"]


class CustomDiffusionConfig(MimicConfig):
    """Settings of a custom diffusion run."""

    learning_rate: float = Field(default=1e-4, gt=0, description="Rate of AdamW at the first step.")


@MIMICS.register(
    "custom-diffusion",
    summary="keys and values of the cross-attention, the few weights that read the prompt",
    reference="Kumari et al. 2022, arXiv 2212.04488",
)
class CustomDiffusion(Mimic):
    """Trains attn2's key and value projections in full rank."""

    config_class = CustomDiffusionConfig

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:  # noqa: ARG002
        trained = [
            parameter
            for name, parameter in pipe.unet.named_parameters()
            if "attn2.to_k." in name or "attn2.to_v." in name
        ]
        for parameter in trained:
            parameter.data = parameter.data.to(torch.float32)
            parameter.requires_grad_(True)
        return trained
