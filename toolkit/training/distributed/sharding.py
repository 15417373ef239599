"""Weights, gradients and moments sharded over processes: each keeps a slice of each (`--strategy fsdp`).

    forward, backward   a layer's weights are gathered when it is reached, and given up again behind it
    gradient            summed, and each process keeps its slice
    optimizer           moves the slice
    validation          all weights are gathered once, so that the processes may ask about different numbers of batches

What each process holds shrinks with their number; what travels grows. It is PyTorch's own `fully_shard` (FSDP2,
Zhao et al. 2023), which wants every process to pass forward and backward equally often: see `forward.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.config.settings import AdapterConfig, TrainingConfig
from toolkit.distributed.process_group import Team
from toolkit.errors import ConfigError
from toolkit.training.adaptation import layer_groups


def check(config: TrainingConfig, adapter: AdapterConfig) -> None:
    """Refuse what cannot be sharded, before training.

    Raises:
        ConfigError: Little would be shared out, or not at all.
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
        model: On its device, with the same weights in each process; changed in place.
        device: Where it computes.
        team: The processes.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (team.size,))
    for _, layer in layer_groups.layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


@contextmanager
def gathered(model: Any) -> Iterator[None]:
    """Let every process hold all weights inside the block; nothing happens to a model that is not shared out."""
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
    """Return all of a tensor; every process has to ask for it when it is shared out."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def like(own: Any, tensor: Any) -> Any:
    """Return a whole tensor as `own` is laid out: the slice of this process where that is shared out."""
    if not hasattr(own, "full_tensor") or own.shape != tensor.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    moved = tensor.to(own.device)
    return distribute_tensor(moved, own.device_mesh, own.placements, src_data_rank=None)
