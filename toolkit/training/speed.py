"""What makes a step cheaper without changing what it computes, put on a model for the time of its training."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from toolkit.attention import packed
from toolkit.training import compiling, dropout, embedding


@contextmanager
def quickened(
    model: Any, probe: Mapping[str, Any] | None, processes: int = 1, kernel: str = "auto", compiled: bool = False
) -> Iterator[packed.Packing | None]:
    """Let `model` train without padding, with cheap dropout and a gradient of its embeddings that stays in place.

    Args:
        model: On its device; given back as it was.
        probe: A batch on the CPU, to try packing on; None to leave batches padded.
        processes: How many share the gradients; what bypasses their exchange is left out when there are several.
        kernel: What attends in batches without padding.
        compiled: Whether torch.compile makes the layers' code.

    Yields:
        How to pack a batch, or None where the model has to be run padded.
    """
    with ExitStack() as after:
        after.callback(dropout.restore, model)
        dropout.cheapen(model)
        if processes == 1:
            after.callback(embedding.restore, model)
            embedding.keep_gradient(model)
        packing = None if probe is None else after.enter_context(packed.unpadded(model, probe, dropout.drop))
        if compiled:
            after.enter_context(compiling.compiled(model, packing))
        yield None if packing is None else replace(packing, kernel=kernel)
