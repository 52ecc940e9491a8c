"""FastProtect's loss: latent and features at every level of the encoder go to a target's."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import EncoderTarget, MultiLayer, WeightedSum
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["FastProtect"]


@peer(
    "fastprotect",
    summary="the latent and the encoder's features at every level go to a target's, by steps on each picture",
    reference="Ahn et al. 2025 (FastProtect), CVPR, arXiv 2412.11423",
    licence="no code released",
    published=Published(linf=8, steps=100, step=1, parts="encoder_target + multi_layer", note="one pass in the paper"),
)
class FastProtect(Peer):
    """min ||E(x) - E(y)||^2 + mean over levels of the features' distance, each relative to where it began.

    The paper learns a mixture of perturbations with this loss once and applies it in one pass; that mixture was never
    released, so the loss is optimised for each picture here. The map of visibility is the budget's.
    """

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        both = [kind(surrogate, original, target=target) for kind in (EncoderTarget, MultiLayer)]
        return WeightedSum(both, [1.0, 1.0])
