"""Orthogonalised momentum for matrices and convolutions.

References:
    Muon: Jordan et al. 2024, kellerjordan.github.io/posts/muon (formula and coefficients). torch has it for matrices.
"""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn

__all__ = ["Muon"]

_PRECISION = torch.bfloat16  # of the iteration: half the time of float32, and as good (Jordan et al. 2024)


class Muon(torch.optim.Optimizer):
    """Momentum whose update of each weight, flattened to a matrix, is the nearest orthogonal matrix to it.

    Args:
        parameters, lr, momentum: as of any optimiser.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            updates = [self._update(parameter, group["momentum"]) for parameter in group["params"]]
            for parameter, update in zip(group["params"], _all_orthogonalised(updates), strict=True):
                scale = math.sqrt(max(1.0, update.shape[0] / update.shape[1]))
                parameter.add_(update.to(parameter).reshape(parameter.shape), alpha=-group["lr"] * scale)

    def _update(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient with momentum (Nesterov's), as a matrix; zero for what had no gradient."""
        average = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        if parameter.grad is None:
            return torch.zeros_like(parameter).flatten(1).to(_PRECISION)
        average.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(average, momentum).flatten(1).to(_PRECISION)


def _all_orthogonalised(matrices: list[Tensor]) -> list[Tensor]:
    """Matrices of one shape at once, which an accelerator does in the time of one."""
    by_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        by_shape[matrix.shape].append(index)
    results: dict[int, Tensor] = {}
    for rows in by_shape.values():
        results |= zip(rows, _orthogonalised(torch.stack([matrices[row] for row in rows])), strict=True)
    return [results[index] for index in range(len(matrices))]


def _orthogonalised(x: Tensor, iterations: int = 5) -> Tensor:
    """Newton-Schulz iteration towards U V^T of the singular value decomposition, (N, rows, columns)."""
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x
