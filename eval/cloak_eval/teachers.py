"""Published encoders that the embedded students are distilled from and measured against. Never shipped."""

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from cloak.surrogates.taef2 import Taef2Decoder, Taef2Encoder

__all__ = ["VAElightEncoder", "level_outputs", "load_taef2", "load_vaelight"]


def _load(model: nn.Module, path: Path) -> nn.Module:
    model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return model.eval().requires_grad_(False)


def load_taef2(folder: Path) -> tuple[Taef2Encoder, Taef2Decoder]:
    """The FLUX.2-class teacher from `taef2_encoder.safetensors` and `taef2_decoder.safetensors`, in float32."""
    encoder, decoder = Taef2Encoder(), Taef2Decoder()
    _load(encoder, folder / "taef2_encoder.safetensors")
    _load(decoder, folder / "taef2_decoder.safetensors")
    return encoder, decoder


class VAElightEncoder(nn.Module):
    """Graphnull/VAElight, a coarse student of Stable Diffusion 1's encoder.

    Shape:
        - Input: (B, 3, H, W), [-1, 1].
        - Output: (B, 4, H/8, W/8), unscaled latents.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cv1, self.cv2 = nn.Conv2d(3, 16, 2, 2), nn.Conv2d(16, 32, 3, padding=1)
        self.cv3, self.cv4 = nn.Conv2d(32, 32, 2, 2), nn.Conv2d(32, 64, 3, padding=1)
        self.cv5, self.cv6 = nn.Conv2d(64, 64, 2, 2), nn.Conv2d(64, 4, 3, padding=1)
        self.cv14, self.cv15 = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)
        self.cv16, self.cv17 = nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 128, 3, padding=1)
        self.cv18 = nn.Conv2d(128, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        fine, coarse = x, nn.functional.avg_pool2d(x, 8)
        for layer in (self.cv1, self.cv2, self.cv3, self.cv4, self.cv5):
            fine = nn.functional.leaky_relu(layer(fine), 0.01)
        for layer in (self.cv14, self.cv15, self.cv16, self.cv17):
            coarse = nn.functional.leaky_relu(layer(coarse), 0.01)
        result: Tensor = self.cv6(fine) + self.cv18(coarse)
        return result


def load_vaelight(folder: Path) -> VAElightEncoder:
    """The Stable Diffusion 1 teacher from `vaelight_sd1_encoder.safetensors`, in float32."""
    model = VAElightEncoder()
    tensors = load_file(folder / "vaelight_sd1_encoder.safetensors")
    model.load_state_dict({name: value.float() for name, value in tensors.items()})
    return model.eval().requires_grad_(False)


def level_outputs(model: nn.Sequential, x: Tensor, ends: Sequence[int]) -> list[Tensor]:
    """What `model` holds after each layer whose index is in `ends`, in order."""
    outputs = []
    for index, layer in enumerate(model):
        x = layer(x)
        if index in ends:
            outputs.append(x)
    return outputs
