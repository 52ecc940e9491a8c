"""What a thief does against a cloak: to the pictures, to the model, or to what the mimic drew."""

from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from cloak.budgets import round_to_8_bits
from cloak.registry import Registry
from cloak_eval.removal import CloakRemover

__all__ = ["COUNTERMEASURES", "Countermeasure"]


class Countermeasure(ABC):  # noqa: B024 (each one fills in the hooks of where it acts)
    """The real thing, as an attacker runs it; nothing here needs a gradient of it.

    Every hook may use the pipeline that the mimic starts from, as diffusers loaded it.

    Attributes:
        slow: whether a picture of 512 px takes from ten seconds to minutes on a CPU.
        acts_on_model: whether `prepare` changes the model.
        learns: whether `learn` has to be called before anything else.
    """

    slow: ClassVar[bool] = False
    acts_on_model: ClassVar[bool] = False
    learns: bool = False

    def learn(self, remover: CloakRemover) -> None:  # noqa: B027
        """Take what was learnt of the tool from pairs of pictures, clean and cloaked, of other artists."""

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Clean one picture, (1, 3, H, W) in [0, 1]; the size may change."""
        return picture

    def prepare(self, pipe: Any, pictures: Sequence[Tensor], generator: torch.Generator) -> None:  # noqa: B027
        """Change the model before it is trained on the treated pictures, (3, H, W) each."""

    def correct(self, drawn: Tensor, published: Sequence[Tensor]) -> Tensor:  # noqa: ARG002
        """Repair what the mimic drew, (N, 3, h, w), with the published pictures, (3, H, W) each, at hand."""
        return drawn

    @final
    def treat_all(self, pictures: Sequence[Tensor], pipe: Any, *, seed: int) -> list[Tensor]:
        """Every picture (3, H, W), each with chance of its own; clipped and rounded to 8 bits, as files are."""
        treated = []
        for index, picture in enumerate(pictures):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
            result = self.treat(picture[None], pipe, generator).detach().cpu().float()
            treated.append(round_to_8_bits(result[0]))
        return treated


COUNTERMEASURES: Registry[type[Countermeasure]] = Registry("countermeasure", "cloak_eval.countermeasures")
