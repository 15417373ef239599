"""The gradient of a large embedding table, kept in one place, for CPUs.

A step reads a few hundred rows of a table of 30,000, yet its dense gradient is a new tensor of the table's size each
time, filled with zeros: on two cores about a tenth of the step goes into that memory. Here the gradient is one tensor
for the whole training, in which each step clears the rows of the step before and adds its own.
"""

from typing import Any

from toolkit.training.acceleration import patching

LARGE = 1_000_000  # minimum size of a table


def keep_gradient(model: Any) -> int:
    """Let every large embedding of a model on the CPU keep its gradient's memory from step to step.

    The gradient has the values of `torch.nn.Embedding`. No module is replaced: the instances get another
    `forward`, which `restore` takes away. Embeddings that share a table, as an encoder and a decoder do, share its
    gradient. Where the table is an output layer's too, the whole of it has a new gradient at each step, to which the
    gradients of the looked-up rows are added.

    Args:
        model: Changed in place; other devices than the CPU are left alone.

    Returns:
        How many embeddings were changed.
    """
    users: dict[int, list[Any]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            users.setdefault(id(parameter), []).append(module)
    changed = 0
    for modules in users.values():
        embeddings = [module for module in modules if _is_large(module)]
        if embeddings:
            gradient = _Gradient(embeddings[0].weight, kept=len(embeddings) == len(modules))
            for module in embeddings:
                patching.put(module, _Forward(module, gradient))
            changed += len(embeddings)
    return changed


def _is_large(module: Any) -> bool:
    """Whether a module is a plain embedding on the CPU with a large table."""
    import torch

    return (
        type(module) is torch.nn.Embedding
        and module.weight.numel() >= LARGE
        and module.weight.device.type == "cpu"
        and module.max_norm is None
        and not module.scale_grad_by_freq
        and not module.sparse
    )


def restore(model: Any) -> None:
    """Give every module back its own `forward`."""
    patching.take_away(model, _Forward)


class _Forward:
    """The forward pass of one embedding."""

    def __init__(self, module: Any, gradient: "_Gradient") -> None:
        self.module = module
        self.gradient = gradient

    def __call__(self, input_ids: Any) -> Any:
        import torch

        weight, padding = self.module.weight, self.module.padding_idx
        looked_up: Any = torch.nn.functional.embedding(input_ids, weight.detach())  # (…, H)
        if not (torch.is_grad_enabled() and weight.requires_grad):
            return looked_up
        # the table itself stays out of the graph; the tensor of its rows receives their gradient
        looked_up.requires_grad_(True)
        looked_up.register_hook(lambda gradient: self.gradient.add(input_ids, gradient, padding))
        return looked_up


class _Gradient:
    """The gradient of one table, and its memory.

    Attributes:
        weight: The table. Shape (rows, H).
        kept: Whether the memory is kept: no other gradient is added to this table's.
    """

    def __init__(self, weight: Any, kept: bool) -> None:
        self.weight = weight
        self.kept = kept
        self.buffer: Any = None
        self.used: list[Any] = []  # the rows of the buffer that may differ from zero

    def add(self, input_ids: Any, gradient: Any, padding: int | None) -> None:
        """Add the gradient of the rows `input_ids` to the table's.

        Args:
            input_ids: Integers of any shape.
            gradient: With one dimension more, of the table's width.
            padding: Row without a gradient.
        """
        weight = self.weight
        rows, gradient = input_ids.reshape(-1), gradient.reshape(-1, weight.shape[1])
        if padding is not None:
            real = rows != padding
            rows, gradient = rows[real], gradient[real]
        if weight.grad is None:
            weight.grad = self._empty()
        if weight.grad is self.buffer:
            self.used.append(rows)
        weight.grad.index_add_(0, rows, gradient.to(weight.dtype))

    def _empty(self) -> Any:
        import torch

        if self.buffer is None or not self.kept:
            empty = torch.zeros_like(self.weight)
            self.buffer = empty if self.kept else None
            return empty
        for stale in self.used:
            self.buffer[stale] = 0
        self.used.clear()
        return self.buffer
