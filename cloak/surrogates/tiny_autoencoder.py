"""Small autoencoders made of a list of levels: the embedded students and the published FLUX.2 one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import Self

from cloak.surrogates.base import Surrogate
from cloak.surrogates.latents import LatentScale

__all__ = ["TinyAutoencoder"]


class TinyAutoencoder(Surrogate):
    """An encoder given as its levels, and a decoder if there is one; both work in [0, 1].

    Args:
        levels: parts of the encoder in order; the output of the last is the latent.
        decoder: from the latent to the picture, None when the model can only encode.
        name: see `Surrogate`.
        family: see `Surrogate`.
        factor: scale of the latent; the denoiser's units are `factor` times the encoder's.
    """

    def __init__(
        self, levels: Sequence[nn.Module], decoder: nn.Module | None, *, name: str, family: str, factor: float = 1.0
    ) -> None:
        capabilities = frozenset({"encode"} if decoder is None else {"encode", "decode"})
        self.levels = nn.ModuleList(levels)
        self.decoder = decoder
        module = nn.ModuleList([self.levels] if decoder is None else [self.levels, decoder])
        super().__init__(module, name=name, family=family, downscale=8, capabilities=capabilities)
        self.latent_scale = LatentScale(torch.tensor(0.0), torch.tensor(factor))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move the network; see `Surrogate.to`."""
        super().to(device, dtype)
        if self.device.type in {"cpu", "cuda"}:
            self.module.to(memory_format=torch.channels_last)
        self.latent_scale = self.latent_scale.to(self.device)
        return self

    def _encode(self, x: Tensor) -> Tensor:
        return self._features(x)[-1]

    def _decode(self, z: Tensor) -> Tensor:
        assert self.decoder is not None  # `decode` has checked the capability
        picture: Tensor = self.decoder(self._to_layout(self.latent_scale.unscale(z)))
        return picture

    def _features(self, x: Tensor) -> list[Tensor]:
        maps, map_ = [], self._to_layout(x)
        for level in self.levels:
            map_ = level(map_)
            maps.append(map_)
        return [*maps[:-1], self.latent_scale.scale(maps[-1].float())]

    def _to_layout(self, x: Tensor) -> Tensor:
        return x.to(self.dtype).contiguous(memory_format=torch.channels_last)
