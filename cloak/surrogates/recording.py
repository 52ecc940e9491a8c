"""What happens inside a network while it runs: outputs of its modules, and where text and picture meet."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

__all__ = ["recorded_cross_attention", "recorded_outputs"]


@contextmanager
def recorded_outputs(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collects what `modules` put out while the block runs, in the order of their calls."""
    outputs: list[Tensor] = []

    def record(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        outputs.append(output)

    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def recorded_cross_attention(network: nn.Module) -> Iterator[list[tuple[Tensor, Tensor, int]]]:
    """Collects (queries, keys, heads) of each cross-attention of a UNet of diffusers, filled when the block ends.

    Shape:
        - queries: (B, positions, D), keys: (B, tokens, D), before they are divided into heads.
    """
    found: list[tuple[Tensor, Tensor, int]] = []
    layers: list[Any] = [module for name, module in network.named_modules() if name.endswith(".attn2")]
    with ExitStack() as stack:
        pairs = [
            (stack.enter_context(recorded_outputs([layer.to_q])), stack.enter_context(recorded_outputs([layer.to_k])))
            for layer in layers
        ]
        yield found
        for layer, (queries, keys) in zip(layers, pairs, strict=True):
            found += [(query, key, layer.heads) for query, key in zip(queries, keys, strict=True)]
