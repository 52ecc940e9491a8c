"""What every stand-in model promises: [0, 1] pictures of any size in, float32 out, gradients all the way."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from typing_extensions import Self

from cloak.errors import UsageError
from cloak.surrogates.conditioning import TextEmbedding
from cloak.surrogates.padding import check_size, pad_to_multiple

__all__ = ["Surrogate"]


class Surrogate(ABC):
    """A model that pictures are protected against.

    Subclasses fill in the hooks of what they are capable of; there, once, they convert between [0, 1] and their own
    range.

    Args:
        module: the network; it is frozen and put into evaluation mode.
        name: name in the catalogue, or that of the file or folder it came from.
        family: models of one family share a latent space, e.g. "sd1", "flux2", "miniature".
        downscale: pixels of the picture for each one of the latent, along a side.
        capabilities: some of encode, decode, denoise, embed_text, embed_image.
        revision: pinned revision of the published model, None when unknown.
        sha256: of the weight file(s), None when unknown.
        embedded: whether the weights ship with this package.
        timesteps: noise levels of the denoiser, 0 without one.
        side: short side in pixels that its denoiser was trained at, None without one.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self, module: nn.Module, *, name: str, family: str, downscale: int, capabilities: frozenset[str]
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self.name, self.family, self.downscale, self.capabilities = name, family, downscale, capabilities
        self.revision: str | None = None
        self.sha256: str | None = None
        self.embedded = False
        self.timesteps = 0
        self.side: int | None = None
        self.device, self.dtype = torch.device("cpu"), torch.float32

    @abstractmethod
    def _features(self, x: Tensor) -> list[Tensor]:
        """Encoder maps from fine to coarse, the latent last, of a padded float32 picture in [0, 1]."""

    @abstractmethod
    def _encode(self, x: Tensor) -> Tensor:
        """Scaled latent of a padded float32 picture in [0, 1]."""

    @abstractmethod
    def _decode(self, z: Tensor) -> Tensor:
        """Picture, nominally [0, 1], of a scaled float32 latent."""

    def _denoise(self, z: Tensor, timestep: Tensor, text: TextEmbedding) -> Tensor:
        """Noise seen in a noisy scaled float32 latent; only with the capability."""
        raise NotImplementedError

    def _add_noise(self, z: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Noisy scaled latent; only with the capability "denoise"."""
        raise NotImplementedError

    def _denoiser(self) -> nn.Module:
        """The network itself; only with the capability "denoise"."""
        raise NotImplementedError

    def _with_denoiser(self, network: nn.Module) -> Self:
        """A twin with another denoising network; only with the capability "denoise"."""
        raise NotImplementedError

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The latent, and the logarithm of its variance where the encoder says it, of a padded picture."""
        return self._encode(x), None

    def _embed_text(self, prompts: list[str]) -> TextEmbedding:
        """Embedded prompts; only with the capability."""
        raise NotImplementedError

    def _embed_image(self, x: Tensor) -> Tensor:
        """(B, E) vectors of a float32 picture in [0, 1] of any size; only with the capability."""
        raise NotImplementedError

    def checkpoint(self, enabled: bool = True) -> Self:
        """Recompute inside the backward pass instead of keeping everything: much less memory, about a third more time.

        The results are the same. A surrogate that is small anyway ignores it.
        """
        del enabled
        return self

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move the network, and set the type it computes in; what goes in and comes out stays float32."""
        self.device, self.dtype = torch.device(device), dtype or self.dtype
        nn.Module.to(self.module, device=self.device, dtype=self.dtype)  # that of diffusers warns without a reason
        return self

    @contextlib.contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        """Encode and decode in another number format for a while; weights stay as they were rounded before."""
        before = self.dtype
        self.to(self.device, dtype)
        try:
            yield
        finally:
            self.to(self.device, before)

    @final
    def encode(self, x: Tensor) -> Tensor:
        """Mean of the posterior in the scaled units that the family's denoiser works in.

        Shape:
            - Input: (B, 3, H, W), [0, 1], H and W at least 8; padded to a multiple of `downscale`.
            - Output: (B, C, ceil(H / downscale), ceil(W / downscale)), float32.
        """
        self._require("encode")
        return self._encode(self._prepare(x)).float()

    @final
    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean as `encode` gives it, and log variance (before scaling), None where the encoder has no variance."""
        self._require("encode")
        mean, log_variance = self._posterior(self._prepare(x))
        return mean.float(), None if log_variance is None else log_variance.float()

    @final
    def decode(self, z: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Picture of a scaled latent, nominally [0, 1] but not clamped, float32; cropped to `size` (H, W) if given."""
        self._require("decode")
        picture = self._decode(z.to(self.device).float()).float()
        return picture if size is None else picture[..., : size[0], : size[1]]

    @final
    def see(self, x: Tensor) -> Tensor:
        """What the model makes of a picture: decode(encode(x)), (B, 3, H, W) as `x`."""
        return self.decode(self.encode(x), (x.shape[-2], x.shape[-1]))

    @final
    def features(self, x: Tensor) -> list[Tensor]:
        """Encoder maps (B, C, h, w) from fine to coarse, float32; the last one is the latent of `encode`."""
        self._require("encode")
        return [map_.float() for map_ in self._features(self._prepare(x))]

    @final
    def add_noise(self, z: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """What the denoiser is shown while it is trained: a latent with noise of the level `timestep`.

        Shape:
            - z, noise: (B, C, h, w), scaled as `encode` gives it; noise of unit variance.
            - timestep: (B,) int64 in [0, timesteps).
            - Output: as z, float32.
        """
        self._require("denoise")
        self._check_timestep(z, timestep)
        return self._add_noise(z.to(self.device).float(), noise.to(self.device).float(), timestep)

    @final
    def denoise(self, z: Tensor, timestep: Tensor, text: TextEmbedding) -> Tensor:
        """The noise that the denoiser sees in a noisy latent, whatever its network was trained to predict.

        Args:
            z: noisy latent, as `add_noise` gives it.
            timestep: its noise level, (B,) int64 in [0, timesteps).
            text: what the picture is said to be; one prompt, or one for each latent.

        Shape:
            - z and output: (B, C, h, w), float32; any h and w.
        """
        self._require("denoise")
        self._check_timestep(z, timestep)
        text = text.to(self.device).expand(len(z))
        return self._denoise(z.to(self.device).float(), timestep.to(self.device), text).float()

    @final
    def denoiser(self) -> nn.Module:
        """The network that denoises, as it is loaded: UNet2DConditionModel where it comes from diffusers."""
        self._require("denoise")
        return self._denoiser()

    @final
    def with_denoiser(self, network: nn.Module) -> Self:
        """The same model with `network` (float32, on this device) as its denoiser; everything else is shared."""
        self._require("denoise")
        return self._with_denoiser(network)

    @final
    def embed_text(self, prompts: Sequence[str]) -> TextEmbedding:
        """Prompts as the denoiser reads them; what is longer than the text encoder's window is cut off."""
        self._require("embed_text")
        if isinstance(prompts, str) or not prompts:
            raise ValueError(f"prompts must be a list of at least one text, got {prompts!r}")
        return self._embed_text(list(prompts))

    @final
    def embed_image(self, x: Tensor) -> Tensor:
        """Pictures as unit vectors (B, E), float32; differentiable.

        Shape:
            - Input: (B, 3, H, W), [0, 1]; resized to the image encoder's own size, the middle of it is seen.
        """
        self._require("embed_image")
        check_size(x)
        return nn.functional.normalize(self._embed_image(x.to(self.device).float()).float(), dim=-1)

    def _check_timestep(self, z: Tensor, timestep: Tensor) -> None:
        if timestep.shape != (len(z),) or timestep.is_floating_point():
            raise ValueError(
                f"timestep must be ({len(z)},) whole numbers, got {tuple(timestep.shape)} {timestep.dtype}"
            )
        if int(timestep.min()) < 0 or int(timestep.max()) >= self.timesteps:
            raise ValueError(f"timesteps must be in [0, {self.timesteps}), got {timestep.tolist()}")

    def _prepare(self, x: Tensor) -> Tensor:
        check_size(x)
        return pad_to_multiple(x.to(self.device).float(), self.downscale)

    def _require(self, capability: str) -> None:
        if capability not in self.capabilities:
            able = ", ".join(sorted(self.capabilities))
            raise UsageError(f"The model {self.name!r} cannot {capability}; it can: {able}.")
