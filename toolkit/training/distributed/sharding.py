"""Weights, gradients and moments sharded over processes: each keeps a slice of each (`--strategy fsdp`).

    forward, backward   a layer's weights are gathered before it, and released after it
    gradient            summed, and each process keeps its slice
    optimizer           updates the slice
    validation          all weights are gathered once, so that the processes may predict different numbers of batches

Memory per process shrinks with their number; communication grows. It is PyTorch's own `fully_shard` (FSDP2,
Zhao et al. 2023), which requires the same number of forward and backward passes in every process: see `loop/step.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.config.settings import AdapterConfig, TrainingConfig
from toolkit.distributed.process_group import Team
from toolkit.errors import ConfigError
from toolkit.training.adaptation import layer_groups
from toolkit.training.distributed import data_parallel


def check(config: TrainingConfig, adapter: AdapterConfig) -> None:
    """Refuse configurations that cannot be sharded, before training.

    Raises:
        ConfigError: Little or nothing would be sharded.
    """
    if config.strategy != "fsdp":
        return
    if adapter.kind != "none":
        raise ConfigError(
            f"With `adapter.kind` {adapter.kind} there is little to shard.",
            "Use --strategy ddp with adapters, or unset `adapter.kind`.",
            id="config.conflict",
        )
    if config.freeze == "trunk":
        raise ConfigError(
            "With `training.freeze` trunk there is nothing to shard: only the head is trained.",
            "Use --strategy ddp, or freeze less.",
            id="config.conflict",
        )


def share_out(model: Any, device: Any, team: Team) -> None:
    """Keep this process's slice of every weight; layers are gathered one by one.

    Args:
        model: On its device; changed in place, with the main process's weights.
        device: Where it computes.
        team: The processes.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    data_parallel.spread(team, [*model.parameters(), *model.buffers()])
    mesh = init_device_mesh(device.type, (team.size,))
    for _, layer in layer_groups.layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


@contextmanager
def gathered(model: Any) -> Iterator[None]:
    """Let every process hold all weights inside the block; no effect on a model that is not sharded."""
    parts = _parts(model)
    for part in parts:
        part.unshard()
        part.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(True, recurse=False)


def _parts(model: Any) -> list[Any]:
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def whole(tensor: Any) -> Any:
    """Return the whole tensor; if it is sharded, every process must call this."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def like(own: Any, tensor: Any) -> Any:
    """Return a whole tensor in the layout of `own`: the slice of this process where that is sharded."""
    if not hasattr(own, "full_tensor") or own.shape != tensor.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    moved = tensor.to(own.device)
    return distribute_tensor(moved, own.device_mesh, own.placements, src_data_rank=None)
