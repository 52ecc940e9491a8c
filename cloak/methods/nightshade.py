"""Nightshade: the latent becomes that of a picture of something else."""

from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import EncoderTarget
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["Nightshade"]


@peer(
    "nightshade",
    summary="the latent becomes that of a picture of something else (concept poison)",
    reference="Shan et al. 2024 (Nightshade), IEEE S&P, arXiv 2310.13828",
    licence="GPL-3.0 (research code)",
    published=Published(linf=10.2, steps=500, step=0.41, parts="encoder_target"),
)
class Nightshade(Peer):
    """min ||E(x) - E(y)||, the step length falling to a hundredth.

    Meant to poison a concept in pre-training, with y generated from the other concept's name; here y is the target.
    The released program bounds LPIPS instead. The step length follows from steps and bound.
    """

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        return EncoderTarget(surrogate, original, target=target)

    def optimiser(self, steps: int) -> PGDConfig:
        return self.sign_steps(steps, decay=0.99)
