"""The denoiser believes the words of the target style rather than those of the picture's own."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PromptContrast, RandomDraws
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["PromptContrastMethod"]


@peer(
    "prompt-contrast",
    summary="the denoiser does better under the target style's words than under the picture's own",
    reference="ours; the measure is that of Li et al. 2023, arXiv 2303.16203",
    licence="own",
    requires=DENOISE,
    published=Published(linf=8, steps=100, step=1, parts="prompt_contrast", note="ours"),
)
class PromptContrastMethod(Peer):
    """Fine-tuning binds the picture to its prompt; here the model already prefers another one for it."""

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        draws = RandomDraws(self.generator)
        return PromptContrast(surrogate, original, target=target, own=self.style, inversion=8, draws=draws)
