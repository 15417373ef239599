"""Optimizations of a step that do not change its result, applied to a model during training."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from toolkit.attention.implementations import packed, padded
from toolkit.training.acceleration import compiling, embedding_gradient, fast_dropout, memory, target_loss


@dataclass(frozen=True)
class AcceleratedModel:
    """How batches pass through a model.

    Attributes:
        packing: How to pack a batch; None where it has to be run padded.
        loss: Computes the model's own loss from target tokens alone; None where the model has to do it.
    """

    packing: packed.Packing | None = None
    loss: target_loss.TargetLoss | None = None


@contextmanager
def accelerated(
    model: Any, probe: Mapping[str, Any] | None, processes: int = 1, kernel: str = "auto", compiled: bool = False
) -> Iterator[AcceleratedModel]:
    """Let `model` train without padding, with fast dropout and reused memory.

    Args:
        model: On its device; given back as it was.
        probe: A batch on the CPU, for a trial; None to leave batches padded.
        processes: How many share the gradients; optimizations that bypass their exchange are not used with several.
        kernel: Attention kernel for batches without padding.
        compiled: Whether layers are compiled by torch.compile.
    """
    with ExitStack() as after:
        after.enter_context(memory.kept(model))
        after.callback(fast_dropout.restore, model)
        fast_dropout.cheapen(model)
        if processes == 1:
            after.callback(embedding_gradient.restore, model)
            embedding_gradient.keep_gradient(model)
        packing = loss = None
        if probe is not None:
            packing = after.enter_context(packed.unpadded(model, probe, fast_dropout.drop))
            if processes == 1:
                loss = after.enter_context(target_loss.of_targets(model, probe))
            if packing is None:
                after.enter_context(padded.products(model, fast_dropout.drop))
        if compiled:
            after.enter_context(compiling.compiled(model, packing))
        yield AcceleratedModel(None if packing is None else replace(packing, kernel=kernel), loss)
