"""SITA: the style direction in an image encoder's space is turned away; no diffusion model."""

from torch import Tensor

from cloak.attacks import PGDConfig
from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import StyleDirection
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["SITA"]


@peer(
    "sita",
    summary="the style direction in CLIP's space, from a blurred grey version to the picture, is turned away",
    reference="SITA 2025, IEEE TIFS",
    licence="MIT",
    requires=frozenset({"embed_image"}),
    published=Published(
        linf=16, steps=50, step=1.275, parts="style_direction", note="no bound, a wavelet penalty; 16 is ours"
    ),
)
class SITA(Peer):
    """min cos(f(x) - f(c), f(x') - f(c)), c a blurred grey proxy of the content, by Adam.

    The paper bounds nothing but penalises colour by a wavelet loss; here the budget bounds it. The encoder is that of
    the model, in the paper CLIP ViT-L/14.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        return StyleDirection(surrogate, original)

    def optimiser(self, steps: int) -> PGDConfig:
        return self.sign_steps(steps, optimiser="adam")
