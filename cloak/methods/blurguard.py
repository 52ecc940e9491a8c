"""BlurGuard: an encoder attack whose change has the picture's own spectrum, so that cleaning finds nothing in it."""

import torch
from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import EncoderTarget, SpectrumMatch, WeightedSum
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["BlurGuard"]

_PENALTY = 0.1


@peer(
    "blurguard",
    summary="the latent becomes that of a grey picture by a change that keeps the picture's spectrum",
    reference="Kim et al. 2025 (BlurGuard), NeurIPS",
    licence="MIT",
    published=Published(linf=16, steps=150, step=1, parts="encoder_target (grey) + spectrum_match, smoothed steps"),
)
class BlurGuard(Peer):
    """min ||E(x) - E(grey)||^2 + 0.1 * largest |log10 power - log10 power before|, with blurred gradients.

    The paper learns a width of blur for each region that a segmentation model finds, in its first 50 steps, and
    weights the spectrum with 10 beside a loss of another scale; here one width serves the whole picture.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        grey = Target("grey", torch.full((1, 3, 8, 8), 0.5))
        encoder = EncoderTarget(surrogate, original, target=grey)
        return WeightedSum([encoder, SpectrumMatch(original)], [1.0, _PENALTY])

    def optimiser(self, steps: int) -> PGDConfig:
        return self.sign_steps(steps, smoothing=1.5)
