"""Mist: the latent goes to another picture's while the denoiser's error grows."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import Denoising, EncoderTarget, RandomDraws, WeightedSum
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["Mist"]

_FUSED = 1e4 / (4 * 64 * 64)  # the code sums over a latent of 64 x 64 and weights the error's mean with 10^4


@peer(
    "mist",
    summary="the latent goes to a target's while the denoiser's error grows (fused mode)",
    reference="Liang and Wu 2023 (Mist), arXiv 2305.12683",
    licence="GPL-3.0",
    requires=DENOISE,
    published=Published(linf=16, steps=100, step=1, parts="encoder_target + denoising"),
)
class Mist(Peer):
    """min ||E(x) - E(y)||^2 - rate * E ||eps(z_t, t, c) - noise||^2.

    The released tool takes one fixed black and white picture as y, here it is the target style's.
    """

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        textural = EncoderTarget(surrogate, original, target=target, relative=False)
        semantic = Denoising(surrogate, original, draws=RandomDraws(self.generator))
        return WeightedSum([textural, semantic], [1.0, _FUSED])
