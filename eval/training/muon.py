"""Orthogonalised momentum for matrices and convolutions.

References:
    Muon: Jordan et al. 2024, kellerjordan.github.io/posts/muon (formula and coefficients). torch has it for matrices.
"""

import math

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
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                average = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(average, group["momentum"]).flatten(1)
                direction = _orthogonalised(update.to(_PRECISION)).to(update)
                scale = math.sqrt(max(1.0, update.shape[0] / update.shape[1]))
                parameter.add_(direction.view_as(parameter), alpha=-group["lr"] * scale)


def _orthogonalised(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Newton-Schulz iteration towards U V^T of the singular value decomposition."""
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
