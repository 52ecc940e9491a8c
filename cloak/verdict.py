"""The figures in words, without promises."""

from collections.abc import Sequence

from cloak.budgets import STRENGTHS
from cloak.effect import ModelEffect

__all__ = ["verdict_for"]

_EMBEDDED_NOTE = (
    "Measured on the embedded stand-ins only: they follow real models in part, so the effect on a real one is smaller. "
    "For autoencoders of the real families, run: cloak models pull recommended."
)
_UNCHANGED = "Nothing was changed: flat colour leaves no room for a change that is not seen."
_NO_PROMISE = "This raises the cost of imitation; it is no promise of safety."


def verdict_for(visible: float, effects: Sequence[ModelEffect], *, all_embedded: bool) -> str:
    """Two to four plain sentences.

    Args:
        visible: LPIPS of the written file.
        effects: what was measured for each model.
        all_embedded: whether no real model took part.
    """
    sentences = [f"The change is {_visibility_word(visible)}." if visible else _UNCHANGED]
    sentences += [_effect_sentence(effect) for effect in effects if effect.sizes]
    if not any(effect.sizes for effect in effects):
        sentences.append("No model that can show what it sees took part, so the seen shift is unknown.")
    if all_embedded:
        sentences.append(_EMBEDDED_NOTE)
    return " ".join([*sentences, _NO_PROMISE])


def _visibility_word(lpips: float) -> str:
    if lpips <= STRENGTHS["subtle"].caps.lpips:
        return "very hard to see"
    if lpips <= STRENGTHS["balanced"].caps.lpips:
        return "hard to see at normal viewing distance"
    return "visible on a close look" if lpips <= STRENGTHS["strong"].caps.lpips else "visible"


def _effect_sentence(effect: ModelEffect) -> str:
    at = effect.sizes[0]
    times = at.times_noise
    word = "strongly" if times >= 10 else "clearly" if times >= 3 else "hardly"
    text = (
        f"What the model {effect.model} sees shifts {word}: {times:.1f} times as much as from random noise that is "
        f"just as visible, and {at.amplification:.1f} times the visible change"
    )
    if effect.remains:
        name, share = min(effect.remains.items(), key=lambda item: item[1])
        text += f"; after the worst of the tested processing ({name}), {100 * share:.0f} % of that is left"
    return text + "."
