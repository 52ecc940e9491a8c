"""Differentiable stand-ins for what attackers and platforms do."""

from cloak.transforms.base import TRANSFORMS, Parameters, Transform
from cloak.transforms.blur import Blur
from cloak.transforms.expectation import ExpectationOverTransforms
from cloak.transforms.identity import Identity
from cloak.transforms.jpeg import JPEG
from cloak.transforms.noise import Noise
from cloak.transforms.resize import Resize

__all__ = [
    "JPEG",
    "TRANSFORMS",
    "Blur",
    "ExpectationOverTransforms",
    "Identity",
    "Noise",
    "Parameters",
    "Resize",
    "Transform",
]
