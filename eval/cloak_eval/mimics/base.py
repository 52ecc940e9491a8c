"""A mimic: one training loop, whose subclasses say what is trained and on what else than the artist's pictures."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from cloak.registry import Registry
from cloak_eval.mimics.denoising import denoising_loss
from cloak_eval.mimics.pipelines import autocast, embed_prompts, latent_distribution, resolution_of
from cloak_eval.mimics.training_set import TrainingSet, style_prompt, training_crop

__all__ = ["MIMICS", "Latents", "Mimic", "MimicConfig", "TrainingStep"]

Pipeline = Any
_CHUNK = 8  # pictures drawn at once


class MimicConfig(BaseModel):
    """What every mimic can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    steps: int = Field(default=400, ge=0, description="Optimiser steps.")
    batch: int = Field(default=4, ge=1, description="Latents of each gradient.")
    accumulate: int = Field(default=1, ge=1, description="Gradients that are summed for one step.")
    learning_rate: float = Field(default=1e-4, gt=0, description="Rate of AdamW at the first step.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", description="How the rate goes on: as it is, or falling to zero over the steps."
    )
    resolution: int | None = Field(
        default=None, ge=16, description="Side of the crops, pixels; the model's own if null."
    )
    crops: int = Field(default=4, ge=1, description="Random crops of each picture.")
    largest_crop: float = Field(
        default=1.5, ge=1, description="Pictures are reduced to a short side of 1 to this many times the resolution."
    )
    checkpointing: bool = Field(default=False, description="Recompute activations instead of keeping them.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Of the mixed-precision training; auto is bfloat16 on CUDA, else float32."
    )
    guidance: float = Field(default=5.0, ge=1, description="Classifier-free guidance while drawing.")
    sampling_steps: int = Field(default=20, ge=1, description="Steps of the sampler for each picture.")

    def dtype(self, device: torch.device) -> torch.dtype:
        """What the training computes in."""
        if self.precision == "auto":
            return torch.bfloat16 if device.type == "cuda" else torch.float32
        chosen: torch.dtype = getattr(torch, self.precision)
        return chosen


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One optimiser step.

    Args:
        index: steps taken so far, from 1.
        total: steps there will be.
        loss: mean of the step's batch.
        seconds: since the training began.
    """

    index: int
    total: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Latents:
    """Encoded crops with their captions.

    Args:
        mean: (N, C, h, w), scaled, on the CPU.
        deviation: of the autoencoder's posterior, same shape.
        captions: N prompts.
    """

    mean: Tensor
    deviation: Tensor
    captions: Sequence[str]

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        """A random batch, sampled from the posterior."""
        chosen = torch.randint(len(self.mean), (count,), generator=generator)
        noise = torch.randn(self.mean[chosen].shape, generator=generator)
        return self.mean[chosen] + self.deviation[chosen] * noise, [self.captions[int(i)] for i in chosen]


class Mimic(ABC):
    """A way of learning a style from pictures.

    Args:
        config: an instance of `config_class`.
    """

    config_class: ClassVar[type[MimicConfig]] = MimicConfig

    def __init__(self, config: MimicConfig | None = None) -> None:
        self.config = config or self.config_class()

    @abstractmethod
    def prepare(self, pipe: Pipeline, training: TrainingSet) -> list[nn.Parameter]:
        """Make what is trained ready and give it back; it may add parts to the pipeline."""

    def extra_loss(self, pipe: Pipeline, generator: torch.Generator) -> Tensor | None:  # noqa: ARG002
        """Added to the loss of each batch; a scalar."""
        return None

    def prompt(self, subject: str, artist: str) -> str:
        """What this mimic is asked for to get a subject in the style it has learnt."""
        return style_prompt(subject, artist)

    @final
    def steps(self, pipe: Pipeline, training: TrainingSet, *, seed: int) -> Iterator[TrainingStep]:
        """Train in place, as a stream of steps; closing it stops.

        Args:
            pipe: as `load_pipeline` gives it; not usable for another mimic afterwards.
            training: the artist's pictures.
            seed: of everything random: the same seed gives the same weights on the same device.
        """
        from diffusers.optimization import get_scheduler

        config, generator = self.config, torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # peft initialises its layers from the global generator
        parameters = self.prepare(pipe, training)
        if config.steps == 0 or not parameters:
            return
        latents = self.encode(pipe, training, generator)
        optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
        schedule = get_scheduler(config.schedule, optimiser, num_warmup_steps=0, num_training_steps=config.steps)
        pipe.unet.train()
        if config.checkpointing:
            pipe.unet.enable_gradient_checkpointing()
        begin = time.perf_counter()
        for index in range(1, config.steps + 1):
            losses = [self._backward(pipe, latents, generator) for _ in range(config.accumulate)]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            yield TrainingStep(index, config.steps, sum(losses) / len(losses), time.perf_counter() - begin)
        pipe.unet.eval()
        pipe.unet.disable_gradient_checkpointing()

    @final
    def train(self, pipe: Pipeline, training: TrainingSet, *, seed: int) -> list[float]:
        """Train to the end and return the loss of each step."""
        return [step.loss for step in self.steps(pipe, training, seed=seed)]

    @final
    def encode(self, pipe: Pipeline, training: TrainingSet, generator: torch.Generator) -> Latents:
        """Random crops of every picture, through the autoencoder, with their captions in this mimic's words."""
        side = self.config.resolution or resolution_of(pipe)
        crops, captions = [], []
        for picture, subject in zip(training.pictures, training.subjects, strict=True):
            for _ in range(self.config.crops):
                crops.append(training_crop(picture, side, generator, largest=self.config.largest_crop))
                captions.append(self.prompt(subject, training.artist))
        return Latents(*latent_distribution(pipe, torch.stack(crops)), captions)

    def _backward(self, pipe: Pipeline, latents: Latents, generator: torch.Generator) -> float:
        device = pipe.unet.device
        batch, captions = latents.draw(self.config.batch, generator)
        with autocast(pipe, self.config.dtype(device)):
            text = embed_prompts(pipe, captions)
            loss = denoising_loss(pipe, batch.to(device), text, generator).mean()
            extra = self.extra_loss(pipe, generator)
        if extra is not None:
            loss = loss + extra
        (loss / self.config.accumulate).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    @final
    @torch.no_grad()
    def draw(self, pipe: Pipeline, artist: str, subjects: Sequence[str], *, seed: int) -> Tensor:
        """One picture for each subject in the artist's style, (N, 3, side, side) in [0, 1], on the CPU.

        Every picture has a generator of its own, so that it does not depend on the others nor on the arm of the
        comparison.
        """
        prompts = [self.prompt(subject, artist) for subject in subjects]
        generators = [torch.Generator().manual_seed(seed * 1_000_003 + index) for index in range(len(prompts))]
        drawn = [
            self._sample(pipe, prompts[at : at + _CHUNK], generators[at : at + _CHUNK])
            for at in range(0, len(prompts), _CHUNK)
        ]
        return torch.cat(drawn).float().cpu().clamp(0, 1)

    @final
    def glimpse(self, pipe: Pipeline, artist: str, subjects: Sequence[str], *, seed: int) -> Tensor:
        """The same while it is being trained, between two steps."""
        training = pipe.unet.training
        pipe.unet.eval()
        try:
            return self.draw(pipe, artist, subjects, seed=seed)
        finally:
            pipe.unet.train(training)

    def _sample(self, pipe: Pipeline, prompts: list[str], generators: list[torch.Generator]) -> Tensor:
        side = self.config.resolution or resolution_of(pipe)
        options: dict[str, Any] = {"guidance_scale": self.config.guidance, "output_type": "pt"}
        options |= {"num_inference_steps": self.config.sampling_steps, "height": side, "width": side}
        with autocast(pipe, self.config.dtype(pipe.unet.device)):
            pictures: Tensor = pipe(prompt=prompts, generator=generators, **options).images
        return pictures


MIMICS: Registry[type[Mimic]] = Registry("mimic", "cloak_eval.mimics")
