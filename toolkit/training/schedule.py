"""Optimizer and learning-rate schedule."""

import math
from collections.abc import Callable
from typing import Any

from toolkit.config import TrainingConfig


def learning_rate_factor(schedule: str, warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Return the factor on the peak learning rate as a function of the optimizer steps taken.

    It rises linearly from 0 over `warmup_steps`, then falls to 0 at `total_steps` along a line or half a
    cosine, or stays. Steps count from 0 and the first already moves, by a factor of 1 / (warm-up + 1).
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        if schedule == "constant":
            return 1.0
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        if schedule == "linear":
            return max(0.0, 1.0 - progress)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))

    return factor


def build_optimizer(model: Any, config: TrainingConfig) -> Any:
    """Return AdamW over the model's trainable parameters; vectors (biases, norms) are spared weight decay.

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    """
    import torch

    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate or 5e-5,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in trainable),
    )
