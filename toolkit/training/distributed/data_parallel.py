"""Data parallelism: each process computes the gradient of its share of a step's examples, and they are averaged.

    step's examples ──deal()──┬── rank 0: mean gradient over its n₀ items ──┐
                              └── rank 1: mean gradient over its n₁ items ──┴─ average() → Σ nᵣ·gᵣ / Σ nᵣ

The gradients are summed once all micro-batches of a step are done, rather than by hooks inside the backward pass as
`DistributedDataParallel` does. So a process may take as many micro-batches as its memory requires, repeat one
when memory runs out, or have no examples at all, and the others do not wait forever. The disadvantage is
that communication does not overlap with the backward pass.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from toolkit.data.batching.batch import Integers
from toolkit.distributed.process_group import Team

_BUCKET = 2**24  # numbers that are sent together
_APART = 1_000_003  # between the seeds of two processes' dropout


def deal(indices: Integers, lengths: Integers, team: Team) -> Integers:
    """Return this process's share of a step's rows, so that all have about as many tokens.

    Sorted by length they are assigned back and forth: 0 1 2 2 1 0 0 1 2 …

    Args:
        indices: Row numbers of the step.
        lengths: Cost of each row of the split.
        team: The processes.
    """
    if team.size == 1:
        return indices
    ordered = indices[np.argsort(-lengths[indices], kind="stable")]
    place = np.arange(len(ordered)) % (2 * team.size)
    share: Integers = ordered[np.minimum(place, 2 * team.size - 1 - place) == team.rank]
    return share


def begin(team: Team, model: Any, seed: int) -> None:
    """Give all processes the main one's weights, and each its own random generator."""
    if team.size == 1:
        return
    import torch

    _spread(team, [*model.parameters(), *model.buffers()])
    if not team.is_main:
        torch.manual_seed(seed + team.rank * _APART)


def share_buffers(team: Team, model: Any) -> None:
    """Give all processes the main one's buffers, such as the running means of a batch norm."""
    if team.size > 1:
        _spread(team, list(model.buffers()))


def _spread(team: Team, tensors: Sequence[Any]) -> None:
    import torch

    with torch.no_grad():
        for tensor in tensors:
            theirs = tensor.detach().contiguous()
            team.spread(theirs)
            tensor.copy_(theirs)


def average(
    team: Team, model: Any, loss: Any, items: float, requests: Sequence[bool], *, gradients: bool = True
) -> tuple[Any, list[bool]]:
    """Average the processes' mean gradients, weighted by their items, to the mean over all items.

    Args:
        team: The processes.
        model: Its gradients are changed in place; a parameter that no process used keeps none.
        loss: This process's mean loss, a number or a tensor.
        items: Number of items of that mean, or their weight.
        requests: Flags of this process for the end of the step, such as to stop.
        gradients: Whether there are gradients to average; those of a sharded model are averaged already.

    Returns:
        The mean loss over all items; and for each request whether any process has it, the same in all of them.
    """
    if team.size == 1:
        return loss, list(requests)
    import torch

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad and gradients]
    present = [parameter.grad is not None for parameter in parameters]
    everything, *rest = team.total([items, *requests, *present])  # on the host, without waiting for a device
    weight = items / everything if everything else 0.0
    granted, users = rest[: len(requests)], rest[len(requests) :]
    used = [parameter for parameter, count in zip(parameters, users, strict=True) if count]
    for parameter in used:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    mean = torch.as_tensor(loss, dtype=torch.float32, device=next(model.parameters()).device).reshape(1)
    for bucket in _buckets([mean, *(parameter.grad for parameter in used)]):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket]) * weight
        team.add_up(flat)
        for tensor, summed in zip(bucket, torch.split(flat, [t.numel() for t in bucket]), strict=True):
            tensor.copy_(summed.view_as(tensor))
    return mean[0], [count > 0 for count in granted]


def _buckets(tensors: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield the tensors in groups that are neither many nor large."""
    bucket: list[Any] = []
    size = 0
    for tensor in tensors:
        if bucket and size + tensor.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    yield bucket
