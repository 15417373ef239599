"""Dropout with the same distribution at a tenth of the cost, for CPUs.

`torch.nn.Dropout` draws one random number in double precision for each activation. Here one draw of 64 random
bits serves four activations, 15 of its 16 bits each, so the rate is kept to 1/32768: p = 0.1 becomes 3277/32768. What
is kept is scaled by exactly one over the probability that was used, so the expectation is untouched. Activations of 16
bits are masked as the integers that they are stored as, which spares them a conversion of the mask.
"""

from typing import Any

from toolkit.training.acceleration import patching

_LEVELS = 2**15


def quantized(rate: float) -> int:
    """Return how many of the 32,768 levels of a 15-bit number mean "drop"."""
    return round(rate * _LEVELS)


def keep_mask(shape: Any, rate: float) -> Any:
    """Draw a mask that keeps with probability 1 - rate, from torch's default CPU generator.

    Args:
        shape: Of the mask.
        rate: Share that is dropped.

    Returns:
        int16 of that shape: -1, all bits set, where an activation is kept, else 0.
    """
    import torch

    count = 1
    for size in shape:
        count *= size
    # without bounds `random_` leaves the sign bit unset, and every fourth piece would be biased
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    levels = bits.view(torch.int16)[:count] >> 1  # from -16384 to 16383: a difference of two stays within 16 bits
    return levels.neg_().add_(quantized(rate) - _LEVELS // 2 - 1).bitwise_right_shift_(15).view(shape)


def cheapen(model: Any) -> int:
    """Let every `torch.nn.Dropout` of a model on the CPU draw its masks by `keep_mask`.

    No module is replaced and nothing is registered in the model's state: the instances get another `forward`.

    Args:
        model: Changed in place; other devices than the CPU are left alone.

    Returns:
        Number of changed dropout modules.
    """
    import torch

    if any(parameter.device.type != "cpu" for parameter in model.parameters()):
        return 0
    modules = [m for m in model.modules() if type(m) is torch.nn.Dropout and quantized(m.p) > 0]
    for module in modules:
        patching.put(module, _Forward(module))
    return len(modules)


def restore(model: Any) -> None:
    """Give every module back its own `forward`."""
    patching.take_away(model, _Forward)


def drop(activations: Any, rate: float) -> Any:
    """Zero a share `rate` of the activations and scale the others, so that the expectation stays.

    Args:
        activations: Of any shape.
        rate: Between 0 and 1; those of other devices than the CPU are dropped by torch.
    """
    if rate >= 1 or activations.device.type != "cpu" or activations.numel() == 0:
        import torch

        return torch.nn.functional.dropout(activations, rate, training=True)
    mask = keep_mask(activations.shape, rate)
    if activations.element_size() != 2:
        mask = mask.bool()
    return _masked(activations, mask, _LEVELS / (_LEVELS - quantized(rate)))


class _Forward:
    """The forward pass of one dropout module."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, activations: Any) -> Any:
        if not self.module.training or self.module.p == 0:
            return activations
        return drop(activations, self.module.p)


def _masked(activations: Any, mask: Any, scale: float) -> Any:
    """Return activations × mask × scale in one pass, and the same for the gradient."""
    return _function().apply(activations, mask, scale)


_FUNCTION: list[Any] = []


def _function() -> Any:
    """Return the autograd function, made once torch is needed."""
    if not _FUNCTION:
        import torch

        def applied(values: Any, mask: Any, scale: float) -> Any:
            if mask.dtype == torch.int16:
                kept = values.contiguous().view(torch.int16) & mask
                return kept.view(values.dtype).mul_(scale)
            return torch.ops.aten.native_dropout_backward(values, mask, scale)

        class Masked(torch.autograd.Function):
            """x ↦ x · mask · scale, forward and backward."""

            @staticmethod
            def forward(context: Any, activations: Any, mask: Any, scale: float) -> Any:
                context.save_for_backward(mask)
                context.scale = scale
                return applied(activations, mask, scale)

            @staticmethod
            def backward(context: Any, gradient: Any) -> Any:
                (mask,) = context.saved_tensors
                return applied(gradient, mask, context.scale), None, None

        _FUNCTION.append(Masked)
    return _FUNCTION[0]
