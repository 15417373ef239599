"""The gradient of a large embedding table, kept in one place, for CPUs.

A step reads a few hundred rows of a table of 30,000, yet its dense gradient is a new tensor of the table's size each
time, filled with zeros: on two cores about a tenth of the step goes into that memory. Here the gradient is one tensor
for the whole training, in which each step clears the rows of the step before and adds its own.
"""

from typing import Any

from toolkit.training import forwards

LARGE = 1_000_000  # numbers in a table below which nothing is to be gained


def keep_gradient(model: Any) -> int:
    """Let every large embedding of a model on the CPU keep its gradient's memory from step to step.

    The gradient's values are those of `torch.nn.Embedding`. No module is replaced: the instances get another
    `forward`, which `restore` takes away.

    Args:
        model: Changed in place; other devices than the CPU are left alone, and so are tables that are used
            elsewhere in the model, as output layers are.

    Returns:
        How many embeddings were changed.
    """
    import torch

    users: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            users[id(parameter)] = users.get(id(parameter), 0) + 1
    modules = [
        module
        for module in model.modules()
        if type(module) is torch.nn.Embedding
        and module.weight.numel() >= LARGE
        and module.weight.device.type == "cpu"
        and users[id(module.weight)] == 1
        and module.max_norm is None
        and not module.scale_grad_by_freq
        and not module.sparse
    ]
    for module in modules:
        forwards.put(module, _Forward(module))
    return len(modules)


def restore(model: Any) -> None:
    """Give every module back its own `forward`."""
    forwards.take_away(model, _Forward)


class _Forward:
    """The forward pass of one embedding, and the memory of its gradient."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.buffer: Any = None
        self.used: list[Any] = []  # the rows of the buffer that may differ from zero

    def __call__(self, input_ids: Any) -> Any:
        import torch

        weight = self.module.weight
        looked_up: Any = torch.nn.functional.embedding(input_ids, weight.detach())  # (…, H)
        if not (torch.is_grad_enabled() and weight.requires_grad):
            return looked_up
        # the table itself stays out of the graph; the tensor that stands for its rows brings their gradient home
        looked_up.requires_grad_(True)
        looked_up.register_hook(lambda gradient: self.add(input_ids, gradient))
        return looked_up

    def add(self, input_ids: Any, gradient: Any) -> None:
        """Add the gradient of the rows `input_ids` to the table's.

        Args:
            input_ids: Integers of any shape.
            gradient: With one dimension more, of the table's width.
        """
        import torch

        weight, padding = self.module.weight, self.module.padding_idx
        rows, gradient = input_ids.reshape(-1), gradient.reshape(-1, weight.shape[1])
        if padding is not None:
            real = rows != padding
            rows, gradient = rows[real], gradient[real]
        if weight.grad is None:
            if self.buffer is None:
                self.buffer = torch.zeros_like(weight)
            for stale in self.used:
                self.buffer[stale] = 0
            self.used.clear()
            weight.grad = self.buffer
        if weight.grad is self.buffer:
            self.used.append(rows)
        weight.grad.index_add_(0, rows, gradient.to(weight.dtype))
