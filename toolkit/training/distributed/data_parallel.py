"""Data parallelism: each process computes the gradient of its share of a step's examples, and they are averaged.

    step's examples ──deal()──┬── rank 0: micro-batch, micro-batch, … last ──┐ buckets of gradients are summed while
                              └── rank 1: micro-batch, … last ───────────────┘ the last backward pass goes on

It is torch's `DistributedDataParallel`, prepared by Accelerate (Li et al. 2020, "PyTorch Distributed: Experiences on
Accelerating Data Parallel Training"). It exchanges in one pass of each step, so a process may take as many other
micro-batches as its memory requires; one without examples makes that pass with weight zero (`loop/step.py`).
`static_graph` is off: the passes differ, as one of weight zero is made without dropout, and padding varies.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Integers
from toolkit.distributed.process_group import Team
from toolkit.errors import ConfigError
from toolkit.training.distributed.devices import pick_device

_RANK = 4  # of the factors of PowerSGD
_WARM_UP = 0.1  # share of the steps before PowerSGD begins, while gradients change fast
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


def seed_apart(team: Team, seed: int) -> None:
    """Give each process a random generator of its own."""
    if not team.is_main:
        import torch

        torch.manual_seed(seed + team.rank * _APART)


def spread(team: Team, tensors: Iterable[Any]) -> None:
    """Give all processes the main one's tensors: the weights of a model to shard, or the means of a batch norm."""
    if team.size == 1:
        return
    import torch

    with torch.no_grad():
        for tensor in tensors:
            theirs = tensor.detach().contiguous()
            team.spread(theirs)
            tensor.copy_(theirs)


def loss_module(model: Any) -> Any:
    """Return a module over the parameters of `model` that is called with a function, and returns its scalar.

    `DistributedDataParallel` waits for the gradient of every parameter in the graph of what its module returns.
    A model returns more than the loss, so it is the loss that has to be returned.
    """
    import torch

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, loss: Callable[[], Any]) -> Any:
            return loss()

    return Loss()


def check(config: TrainingConfig) -> None:
    """Refuse a compression of gradients that cannot be had, before training.

    Raises:
        ConfigError: Shards are exchanged, there is no GPU, or the scale of gradients changes.
    """
    kind = config.gradient_compression
    if kind != "none" and config.strategy == "fsdp":
        raise ConfigError(
            f"`training.gradient_compression` {kind} is not for sharded gradients.",
            "Use --strategy ddp, or unset it.",
            id="config.conflict",
        )
    if kind == "powersgd" and config.precision == "fp16":
        raise ConfigError(
            "PowerSGD adds the error of a step to the next one, and fp16 scales the gradients of each differently.",
            "Use `--set training.precision=bf16` or fp32, or `training.gradient_compression=bf16`.",
            id="config.conflict",
        )
    if kind != "none" and pick_device(config.device) != "cuda":  # gloo keeps no order between those of two buckets
        raise ConfigError(
            f"`training.gradient_compression` {kind} needs GPUs.",
            "Unset it.",
            id="device.unsupported",
        )


def replicated(
    accelerator: Any, module: Any, *, some_unused: bool = False, compression: str = "none", steps: int = 1
) -> Any:
    """Return a `loss_module` whose gradients are averaged over the processes, and its weights the main one's.

    Args:
        accelerator: An `accelerate.Accelerator`.
        module: On its device.
        some_unused: Whether there are parameters that the loss does not depend on. They keep no gradient if that is so
            in every process.
        compression: `training.gradient_compression`.
        steps: Optimizer steps of the training.

    Sources: Vogels et al. 2019, "PowerSGD: Practical Low-Rank Gradient Compression for Distributed Optimization".
    """
    from accelerate.utils import DDPCommunicationHookType, DistributedDataParallelKwargs
    from torch.nn.parallel import DistributedDataParallel

    kinds = {"bf16": DDPCommunicationHookType.BF16, "powersgd": DDPCommunicationHookType.POWER_SGD}
    # not before the second step, in which the buckets change
    begin = max(2, math.ceil(_WARM_UP * steps))
    accelerator.ddp_handler = DistributedDataParallelKwargs(
        gradient_as_bucket_view=True,
        find_unused_parameters=some_unused,
        comm_hook=kinds.get(compression, DDPCommunicationHookType.NO),
        comm_state_option={"matrix_approximation_rank": _RANK, "start_powerSGD_iter": begin},
    )
    wrapped = accelerator.prepare_model(module)
    if not isinstance(wrapped, DistributedDataParallel):
        raise RuntimeError(f"Accelerate did not see the other processes: {accelerator.distributed_type}.")
    wrapped.broadcast_buffers = False  # before a validation is enough
    return wrapped


def complete(wrapped: Any) -> list[Any]:
    """Give a gradient of zero to each parameter that the pass of the exchange left without one, and end the exchange.

    The other processes would wait for it forever.

    Returns:
        These parameters; none where `some_unused` was expected.
    """
    if wrapped.find_unused_parameters:
        return []
    late = [parameter for parameter in wrapped.parameters() if parameter.requires_grad and parameter.grad is None]
    if late:
        sum((parameter * 0).sum() for parameter in late).backward()
    return late


def forget_unused(team: Team, model: Any, late: Sequence[Any]) -> None:
    """Leave parameters without a gradient that had none in any process, as one process would.

    Args:
        team: The processes; each must call this.
        model: Its gradients are exchanged.
        late: From `complete`.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    mine = {id(parameter) for parameter in late}
    counts = team.total([id(parameter) in mine for parameter in trainable])
    for parameter, count in zip(trainable, counts, strict=True):
        if count == team.size:
            parameter.grad = None


def agreed(team: Team, loss: Any, requests: Sequence[bool], device: Any) -> tuple[Any, list[bool]]:
    """Return the sum of the processes' parts of a loss, and whether any process has each request.

    Args:
        team: The processes.
        loss: A number or a tensor.
        requests: Flags of this process, such as to stop.
        device: Where it computes; the loss is summed there, and not waited for.
    """
    if team.size == 1:
        return loss, list(requests)
    import torch

    total = torch.as_tensor(loss, dtype=torch.float32, device=device).clone()
    team.add_up(total)
    return total, [count > 0 for count in team.total(requests)]
