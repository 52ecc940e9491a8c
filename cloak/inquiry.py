"""Losses that ask: what a model makes of a picture is answered from outside, for several pictures at once.

Small pictures keep a model busier together than one by one. Only the models work on them together: everything else
would not give the bits that each picture alone gives, since sums are added up in another order.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import final

import torch
from torch import Tensor

__all__ = ["Inquiring", "Inquiry", "Loss", "answered", "inquire"]

Loss = Callable[[Tensor], Tensor]
Question = tuple[Callable[[Tensor], Tensor], Tensor]
Inquiry = Generator[Question, Tensor, Tensor]


class Inquiring(ABC):
    """A loss, (B, 3, H, W) to (B,), that leaves its questions to others."""

    @abstractmethod
    def inquire(self, x: Tensor) -> Inquiry:
        """Yield a function and what it is to be called with, get the result back; at the end, return the loss.

        The function must treat the pictures of a batch one by one.
        """

    @final
    def __call__(self, x: Tensor) -> Tensor:
        return answered([self.inquire(x)])[0]


def inquire(loss: Loss, x: Tensor) -> Inquiry:
    """The same for any loss; one that does not ask is computed on the spot."""
    if isinstance(loss, Inquiring):
        return (yield from loss.inquire(x))
    return loss(x)


def answered(inquiries: Sequence[Inquiry]) -> list[Tensor]:
    """The losses at the end of inquiries; equal questions about pictures of one size are put to the model together."""
    losses: dict[int, Tensor] = {}
    answers: dict[int, Tensor | None] = dict.fromkeys(range(len(inquiries)))
    while answers:
        questions: dict[int, Question] = {}
        for place, answer in answers.items():
            try:
                questions[place] = next(inquiries[place]) if answer is None else inquiries[place].send(answer)
            except StopIteration as end:
                losses[place] = end.value
        answers = _answers(questions)
    return [losses[place] for place in range(len(inquiries))]


def _answers(questions: dict[int, Question]) -> dict[int, Tensor | None]:
    alike: dict[tuple[object, ...], list[int]] = {}
    for place, (function, x) in questions.items():
        alike.setdefault((function, *x.shape), []).append(place)
    answers: dict[int, Tensor | None] = {}
    for places in alike.values():
        function, x = questions[places[0]]
        if len(places) == 1:
            answers[places[0]] = function(x)
            continue
        together = function(torch.cat([questions[place][1] for place in places]))
        answers |= zip(places, torch.split(together, len(x)), strict=True)
    return answers
