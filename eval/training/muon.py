"""The optimiser of all training here: orthogonalised momentum for convolutions, AdamW for the rest.

References:
    Muon: Jordan et al. 2024, kellerjordan.github.io/posts/muon (formula and coefficients). torch has it for matrices.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["Optimiser", "learning_rate"]

_NARROW = 12  # convolutions with a side this small (from a picture, to a latent) are left to AdamW


class Muon(torch.optim.Optimizer):
    """Momentum whose update of each weight, flattened to a matrix, is the nearest orthogonal matrix to it.

    Args:
        parameters, lr, momentum: as of any optimiser.
        precision: of the iteration towards that matrix; bfloat16 halves its time and is as good (Jordan et al. 2024).
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.precision = precision

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                average = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(average, group["momentum"]).flatten(1)
                direction = _orthogonalised(update.to(self.precision)).to(update)
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


class Optimiser:
    """Muon and AdamW as one, with the learning rate of both set before each step.

    Args:
        models: whose parameters are trained.
        rate: peak learning rate of the convolutions; the rest has a tenth of it.
    """

    def __init__(self, models: Iterable[nn.Module], *, rate: float) -> None:
        parameters = [p for model in models for p in model.parameters()]
        wide = [p for p in parameters if p.ndim == 4 and min(p.shape[:2]) > _NARROW]
        chosen = {id(p) for p in wide}
        rest = [p for p in parameters if id(p) not in chosen]
        self.parts = [Muon(wide, lr=rate), torch.optim.AdamW(rest, lr=rate / 10, betas=(0.9, 0.98))]
        self.peaks = [rate, rate / 10]

    def step(self, *, done: float) -> None:
        """Update and clear the gradients; `done` is the share of the training that is over."""
        for part, peak in zip(self.parts, self.peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = learning_rate(done, peak=peak)
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict]) -> None:
        for part, values in zip(self.parts, state, strict=True):
            part.load_state_dict(values)


def learning_rate(done: float, *, peak: float) -> float:
    """Warm-up over 1 %, then cosine to 2 % of the peak."""
    warm = min(1.0, done / 0.01 + 0.02)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(min(done, 1.0) * math.pi)))
