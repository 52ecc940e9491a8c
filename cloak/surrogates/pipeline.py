"""A whole latent diffusion model from its diffusers folder: Stable Diffusion 1.5, 2.1, XL, or the miniature."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from cloak.errors import ModelError
from cloak.surrogates.base import Surrogate
from cloak.surrogates.conditioning import TextEmbedding
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.surrogates.noise_schedule import NoiseSchedule, read_schedule
from cloak.surrogates.parts import (
    LoadedPart,
    TextTower,
    centred,
    has_part,
    load_image_encoder,
    load_text_tower,
    load_unet,
    pixel_statistics,
)

__all__ = ["PipelineSurrogate", "is_pipeline_folder"]

_PARTS = ("unet", "text_encoder", "text_encoder_2", "image_encoder")


def is_pipeline_folder(folder: Path) -> bool:
    """Whether a folder holds more of a pipeline than its autoencoder, in the layout that this module knows."""
    return (folder / "vae" / "config.json").is_file() and bool(_capabilities(folder) - {"encode", "decode"})


def _capabilities(folder: Path) -> frozenset[str]:
    able = {"encode", "decode"}
    if has_part(folder, "unet", "diffusion_pytorch_model") and (folder / "scheduler").is_dir():
        able.add("denoise")
    if has_part(folder, "text_encoder", "model") and (folder / "tokenizer").is_dir():
        able.add("embed_text")
    if has_part(folder, "image_encoder", "model"):
        able.add("embed_image")
    return frozenset(able)


class PipelineSurrogate(Surrogate):
    """The autoencoder of a pipeline, and its other parts as soon as they are asked for.

    `sha256` is that of the autoencoder; `part_hashes` has that of each other part that was loaded, also of those that
    `release` has given back.

    Args:
        folder: in the diffusers layout.
        autoencoder: the one in it.
        name: see `Surrogate`.
        family: see `Surrogate`.

    Raises:
        ModelError: its noise schedule cannot be used.
    """

    def __init__(self, folder: Path, autoencoder: DiffusersAutoencoder, *, name: str, family: str) -> None:
        capabilities = _capabilities(folder)
        super().__init__(
            autoencoder.module, name=name, family=family, downscale=autoencoder.downscale, capabilities=capabilities
        )
        self.folder, self.autoencoder = folder, autoencoder
        self.sha256 = autoencoder.sha256
        self.part_hashes: dict[str, str] = {}
        self._loaded: dict[str, Any] = {}
        self._checkpointed = False
        self._schedule: NoiseSchedule | None = None
        if "denoise" in capabilities:
            self._schedule = read_schedule(folder / "scheduler")
            self.timesteps = self._schedule.timesteps
            self.side = _trained_side(folder, self.downscale)

    @property
    def loaded_parts(self) -> list[str]:
        """Names of the parts in memory besides the autoencoder."""
        return sorted(self._loaded)

    def release(self, *names: str) -> None:
        """Give back the memory of parts, all but the autoencoder without names; they are loaded again when needed.

        Args:
            names: some of unet, text_encoder, text_encoder_2, image_encoder.
        """
        for name in names or _PARTS:
            if name not in _PARTS:
                raise ValueError(f"there is no part {name!r}; known: {', '.join(_PARTS)}")
            self._loaded.pop(name, None)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move every part that is loaded; those that come later follow."""
        self.device, self.dtype = torch.device(device), dtype or self.dtype
        self.autoencoder.to(device, dtype)
        for name in self._loaded:
            self._place(name)
        return self

    @contextlib.contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        """See `Surrogate.computing_in`; the autoencoder alone, since nothing else encodes or decodes."""
        with self.autoencoder.computing_in(dtype):
            yield

    def checkpoint(self, enabled: bool = True) -> Self:
        """See `Surrogate.checkpoint`; for the autoencoder and the denoiser."""
        self._checkpointed = enabled
        self.autoencoder.checkpoint(enabled)
        if "unet" in self._loaded:
            self._place("unet")
        return self

    def _features(self, x: Tensor) -> list[Tensor]:
        return self.autoencoder._features(x)

    def _encode(self, x: Tensor) -> Tensor:
        return self.autoencoder._encode(x)

    def _decode(self, z: Tensor) -> Tensor:
        return self.autoencoder._decode(z)

    def _add_noise(self, z: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        assert self._schedule is not None  # the capability was checked
        return self._schedule.add(z, noise, timestep)

    def _denoise(self, z: Tensor, timestep: Tensor, text: TextEmbedding) -> Tensor:
        assert self._schedule is not None  # the capability was checked
        unet: Any = self._denoiser()
        added = None
        if unet.config.addition_embed_type == "text_time":  # SDXL is also told the size it should look like
            height, width = (side * self.downscale for side in z.shape[-2:])
            sizes = torch.tensor([[height, width, 0, 0, height, width]], device=self.device).expand(len(z), -1)
            added = {"text_embeds": text.pooled.to(self.dtype), "time_ids": sizes.to(self.dtype)}
        tokens = text.tokens.to(self.dtype)
        output = unet(z.to(self.dtype), timestep, encoder_hidden_states=tokens, added_cond_kwargs=added).sample
        return self._schedule.noise_in(output.float(), z, timestep)

    def _denoiser(self) -> nn.Module:
        network: nn.Module = self._part("unet", lambda: load_unet(self.folder, self.dtype)).module
        return network

    def _with_denoiser(self, network: nn.Module) -> Self:
        twin = copy.copy(self)
        twin.dtype = torch.float32  # of the denoiser; small training steps are lost in half precision
        twin._loaded = {**self._loaded, "unet": LoadedPart(network, self._loaded["unet"].sha256)}
        return twin

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.autoencoder._posterior(x)

    def _embed_text(self, prompts: list[str]) -> TextEmbedding:
        towers = [self._part("text_encoder", lambda: load_text_tower(self.folder, 0))]
        if has_part(self.folder, "text_encoder_2", "model"):
            towers.append(self._part("text_encoder_2", lambda: load_text_tower(self.folder, 1)))
        outputs = [self._read(tower, prompts) for tower in towers]
        if len(towers) == 1:
            tokens = outputs[0].last_hidden_state
        else:  # SDXL takes the last but one layer of both
            tokens = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        pooled = outputs[-1].text_embeds if towers[-1].projects else outputs[-1].pooler_output
        return TextEmbedding(tokens.float(), pooled.float())

    def _read(self, tower: TextTower, prompts: list[str]) -> Any:
        with torch.no_grad():
            return tower.part.module(tower.ids(prompts).to(self.device), output_hidden_states=True)

    def _embed_image(self, x: Tensor) -> Tensor:
        encoder = self._part("image_encoder", lambda: load_image_encoder(self.folder)).module
        mean, deviation = (figure.to(self.device) for figure in pixel_statistics(self.folder))
        picture = (centred(x, encoder.config.image_size) - mean) / deviation
        vector: Tensor = encoder(picture.to(self.dtype)).image_embeds
        return vector

    def _part(self, name: str, load: Callable[[], Any]) -> Any:
        if name not in self._loaded:
            try:
                part = load()
            except MemoryError as error:
                raise ModelError(f"There is not enough memory for the {name} of {self.name!r}.") from error
            self._loaded[name] = part
            self.part_hashes[name] = _network(part).sha256
            self._place(name)
        return self._loaded[name]

    def _place(self, name: str) -> None:
        """Bring a loaded part to where and how this surrogate computes."""
        module = _network(self._loaded[name]).module
        nn.Module.to(module, device=self.device, dtype=self.dtype)
        if name == "unet":
            module.enable_gradient_checkpointing() if self._checkpointed else module.disable_gradient_checkpointing()


def _trained_side(folder: Path, downscale: int) -> int | None:
    """Pixels, from the denoiser's configuration; None where it does not say."""
    sample: Any = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8")).get("sample_size")
    side = min(sample) if isinstance(sample, list) else sample
    return None if side is None else int(side) * downscale


def _network(part: LoadedPart | TextTower) -> LoadedPart:
    return part.part if isinstance(part, TextTower) else part
