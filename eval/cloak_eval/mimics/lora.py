"""Low-rank adapters: what nearly every style model that is passed around is.

References:
    Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
"""

from typing import Any

import torch
from pydantic import Field
from torch import nn

from cloak_eval.mimics.base import MIMICS, Mimic, MimicConfig
from cloak_eval.mimics.pipelines import text_towers
from cloak_eval.mimics.training_set import TrainingSet

__all__ = ["LoRA", "LoRAConfig", "add_adapter"]

_UNET_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
_TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")


class LoRAConfig(MimicConfig):
    """Settings of a LoRA."""

    rank: int = Field(default=16, ge=1, description="Rank of every adapter; its scale is 1.")
    convolutions: bool = Field(default=False, description="Adapt the residual blocks' convolutions as well.")
    text_encoder: bool = Field(default=False, description="Adapt the text encoder as well.")


def add_adapter(network: Any, layers: tuple[str, ...], rank: int) -> list[nn.Parameter]:
    """Give the layers whose names end so trainable adapters in float32, and return their parameters."""
    from peft import LoraConfig, inject_adapter_in_model

    pattern = rf".*\.({'|'.join(layer.replace('.', '[.]') for layer in layers)})"
    settings = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=pattern)
    inject_adapter_in_model(settings, network)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.data = parameter.data.to(torch.float32)
    return trained


@MIMICS.register(
    "lora",
    summary="low-rank adapters on the denoiser's attention, if wanted on the text encoder",
    reference="Hu et al. 2021, arXiv 2106.09685; peft",
    extra="eval",
)
class LoRA(Mimic):
    """Trains adapters, everything else stays."""

    config_class = LoRAConfig
    config: LoRAConfig

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:  # noqa: ARG002
        config = self.config
        layers = (*_UNET_LAYERS, "conv1", "conv2") if config.convolutions else _UNET_LAYERS
        parameters = add_adapter(pipe.unet, layers, config.rank)
        if config.text_encoder:
            for _, encoder in text_towers(pipe):
                parameters += add_adapter(encoder, _TEXT_LAYERS, config.rank)
        return parameters
