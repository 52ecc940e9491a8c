"""PhotoGuard's encoder attack: the latent becomes that of a grey picture."""

import torch
from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import EncoderTarget
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["PhotoGuard"]


@peer(
    "photoguard",
    summary="the latent becomes that of a grey picture (encoder attack)",
    reference="Salman et al. 2023 (PhotoGuard), ICML, arXiv 2302.06588",
    licence="MIT",
    published=Published(linf=15.3, steps=200, step=1.275, parts="encoder_target (grey)"),
)
class PhotoGuard(Peer):
    """min ||E(x) - E(grey)||, the step length falling to a hundredth. Numbers of the demonstration.

    Meant against editing; its diffusion attack through the inpainting pipeline is not here.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        return EncoderTarget(surrogate, original, target=Target("grey", torch.full((1, 3, 8, 8), 0.5)))

    def optimiser(self, steps: int) -> PGDConfig:
        return self.sign_steps(steps, decay=0.99)
