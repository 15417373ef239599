"""The repeated layers of a model, compiled by torch.compile during training.

One layer is compiled and serves all that are alike: a model's warm-up is that of a layer. Code that depends on the
batch's layout (hooks, and attention within sequences) stays outside, so that one piece of code serves batches of any
shape.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from toolkit.attention.implementations.packed import Packing, repeated_layers
from toolkit.attention.interface import implementation, register
from toolkit.errors import RunError
from toolkit.training.acceleration import fast_dropout, patching


class _Switch:
    """Whether compiled layers run their compiled code."""

    on = True


class _Forward:
    """The forward pass of one layer: compiled in training, as it is elsewhere."""

    def __init__(self, layer: Any) -> None:
        import torch

        self.layer = layer
        self.plain = layer.forward
        self.compiled: Any = torch.compile(self.plain, dynamic=True)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if not (self.layer.training and _Switch.on):
            return self.plain(*arguments, **keywords)
        from torch._dynamo.exc import TorchDynamoException
        from torch._inductor.exc import InductorError

        try:
            return self.compiled(*arguments, **keywords)
        except (TorchDynamoException, InductorError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise RunError(
                f"torch.compile cannot compile this model's layers here ({type(error).__name__}: {reason}).",
                "Turn it off with `--set training.compile=false`.",
                id="model.cannot-compile",
            ) from error


@contextmanager
def compiled(model: Any, packing: Packing | None) -> Iterator[None]:
    """Let the layers of `model` train in compiled code while the block lasts.

    A packed model's last layer may be trimmed by hooks inside it, and is left as it is. Compiled code draws its
    dropout within other work, so torch's own dropout is restored in the layers.

    Raises:
        RunError: In the block, when a layer cannot be compiled.
    """
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface

    layers = repeated_layers(model)
    if layers is None:
        yield
        return
    chosen = list(layers) if packing is None else list(layers)[:-1]
    with ExitStack() as after:
        if packing is not None:
            outside: Any = torch.compiler.disable
            name = str(implementation(model))
            attend, mask = AttentionInterface()[name], AttentionMaskInterface()[name]
            register(name, outside(attend), mask)
            after.callback(register, name, attend, mask)
        for layer in chosen:
            fast_dropout.restore(layer)
            patching.put(layer, _Forward(layer))
            after.callback(fast_dropout.cheapen, layer)
            after.callback(patching.take_away, layer, _Forward)
        yield


@contextmanager
def suspended() -> Iterator[None]:
    """Let compiled layers run uncompiled while the block lasts."""
    _Switch.on = False
    try:
        yield
    finally:
        _Switch.on = True
