"""In the space of text and pictures: away from the words of the picture's own style, towards those of another."""

from torch import Tensor
from torch.nn import functional as F

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target
from cloak.targets.style_text import nearest_style, style_prompt, target_prompt

__all__ = ["TextContrast"]


@OBJECTIVES.register(
    "text_contrast",
    summary="the picture's embedding leaves the words of its own style for those of the target's",
    reference="Radford et al. 2021 (CLIP), arXiv 2103.00020 (the space); the contrast is ours",
    requires=frozenset({"embed_image", "embed_text"}),
)
class TextContrast(Objective):
    """cos(f(x), own style) - cos(f(x), target style); f embeds the picture in the space of the model's prompts.

    Args:
        surrogate, original, target: see `Objective`.
        own: words for the picture's own style; found if not given.
        wanted: words for the target style; the target's if not given.
    """

    requires = frozenset({"embed_image", "embed_text"})
    needs_target = True

    def __init__(
        self,
        surrogate: Surrogate,
        original: Tensor,
        *,
        target: Target | None = None,
        own: str | None = None,
        wanted: str | None = None,
    ) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        style = own or nearest_style(surrogate, original[:1])
        own = style_prompt(style)
        wanted = style_prompt(wanted) if wanted else target_prompt(surrogate, self.target, own=style)
        self.prompts = own, wanted
        self._texts = F.normalize(surrogate.embed_text([own, wanted]).pooled, dim=-1)  # (2, E)

    def __call__(self, x: Tensor) -> Tensor:
        own, wanted = (self.surrogate.embed_image(x) @ self._texts.T).unbind(1)
        return (own - wanted).to(x.device)
