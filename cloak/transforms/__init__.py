"""Differentiable stand-ins for what attackers and platforms do."""

from cloak.transforms.base import TRANSFORMS, Parameters, Transform
from cloak.transforms.blur import Blur
from cloak.transforms.crop import Crop
from cloak.transforms.expectation import ExpectationOverTransforms
from cloak.transforms.flip import Flip
from cloak.transforms.identity import Identity
from cloak.transforms.jpeg import JPEG
from cloak.transforms.noise import Noise
from cloak.transforms.resize import Resize

__all__ = [
    "JPEG",
    "TRANSFORMS",
    "Blur",
    "Crop",
    "ExpectationOverTransforms",
    "Flip",
    "Identity",
    "Noise",
    "Parameters",
    "Resize",
    "Transform",
]
