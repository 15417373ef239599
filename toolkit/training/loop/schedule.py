"""Optimizer and learning-rate schedule."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.training.adaptation.layer_groups import depths


def learning_rate_factor(config: TrainingConfig, total_steps: int) -> Callable[[float], float]:
    """Return the factor on the peak learning rate as a function of the optimizer steps taken.

    It rises linearly from 0 over the warm-up, then falls towards `min_learning_rate_fraction`: along a line or half a
    cosine, which reach it at `total_steps`, or as the inverse square root of the steps since; or it stays.
    Steps count from 0 and the first already moves, by a factor of 1 / (warm-up + 1).

    Sources: Loshchilov and Hutter 2017, "SGDR", equation 5 (cosine); Vaswani et al. 2017, "Attention Is All You
    Need", equation 3 (inverse square root).
    """
    share = config.warmup_fraction
    warmup = min(config.warmup_steps if config.warmup_steps is not None else round(total_steps * share), total_steps)

    def falling(step: float) -> float:
        """1 at the end of the warm-up; step counts from there."""
        if config.schedule == "inverse-sqrt":
            return math.sqrt(max(1, warmup) / (max(1, warmup) + step))
        progress = min(1.0, step / max(1, total_steps - warmup))
        return 1.0 - progress if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))

    def factor(step: float) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if config.schedule == "constant":
            return 1.0
        return config.min_learning_rate_fraction + (1.0 - config.min_learning_rate_fraction) * falling(step - warmup)

    return factor


def build_optimizer(model: Any, config: TrainingConfig) -> Any:
    """Return AdamW over the model's trainable parameters; vectors (biases, norms) have no weight decay.

    With `layer_decay` a parameter's learning rate is the peak times `layer_decay` to the power of its distance from
    the head, in layers (Howard and Ruder 2018, "Universal Language Model Fine-tuning", section 3.2).

    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    """
    import torch

    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    depth = depths(model) if config.layer_decay < 1 else dict.fromkeys(trainable, 0)
    top = max(depth.values(), default=0)
    peak = config.learning_rate or 5e-5
    groups = [
        {
            "params": [p for name, p in trainable.items() if depth[name] == level and (p.ndim >= 2) == decays],
            "weight_decay": config.weight_decay if decays else 0.0,
            "lr": peak * config.layer_decay ** (top - level),
        }
        for level in sorted(set(depth.values()), reverse=True)
        for decays in (True, False)
    ]
    fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in trainable.values())
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=peak,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=fused if config.acceleration == "auto" else None,
    )


def clip_gradients(accelerator: Any, model: Any, optimizer: Any, max_norm: float, *, sharded: bool) -> None:
    """Limit the norm of the gradient in the next step of the optimizer.

    A fused optimizer divides each gradient as it reads it, which saves a pass over all gradients.

    Args:
        accelerator: Prepared the optimizer.
        model: Its gradients are complete.
        optimizer: As prepared by the accelerator.
        max_norm: Gradients of a larger norm are scaled to it.
        sharded: Whether each process has only a slice of each gradient.
    """
    inner = optimizer.optimizer
    if sharded or accelerator.scaler is not None or not inner.defaults["fused"]:
        accelerator.clip_grad_norm_(model.parameters(), max_norm)
        return
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = _total_norm(gradients)
    inner.grad_scale = ((norm + 1e-6) / max_norm).clamp(min=1.0)  # the coefficient of `clip_grad_norm_`, inverted


def _total_norm(gradients: Sequence[Any]) -> Any:
    """Return the norm of all gradients together; on a CPU from the norms of rows, which are shared among threads."""
    import torch

    if not gradients or any(gradient.device.type != "cpu" for gradient in gradients):
        return torch.nn.utils.get_total_norm(gradients)
    tables = (gradient.flatten(1) if gradient.ndim > 1 else gradient.reshape(1, -1) for gradient in gradients)
    return torch.linalg.vector_norm(torch.cat([torch.linalg.vector_norm(table, dim=1) for table in tables]))
