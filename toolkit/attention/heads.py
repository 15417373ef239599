"""Heads of attention: how much each matters, and a model without some of them.

    importance   |∂ loss / ∂ gate| of a gate of 1 on each head's output, mean over examples
    zero         the columns of the output projection that read a head become 0: the model predicts as if the head did
                 not exist, keeps its shape, and loads anywhere
    slim         the head's rows and columns are removed from the loaded model: the same predictions at less cost

Heads, and the linear layers that make and read them, are found by the memory addresses of the inputs and outputs of
attention, so no layer's name is known here. At least one head of each layer stays.

Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", sections 2.3 and 4.1.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.attention.interface import implementation, register, switch
from toolkit.errors import ModelError

NAME = "toolkit-heads"

Floats = np.ndarray[Any, np.dtype[np.float64]]
Pruned = Mapping[int, Sequence[int]]  # number of a layer → its heads that are left out


@dataclass(frozen=True)
class Layer:
    """The heads of one layer.

    Attributes:
        module: The attention that calls the interface.
        heads: How many, H.
        width: Of a head, D.
        inputs: The linear layers that make queries, keys and values; None where they are not three of their own.
        output: The linear layer that reads the heads side by side.
    """

    module: Any
    heads: int
    width: int
    inputs: tuple[Any, Any, Any] | None
    output: Any


@dataclass
class _Spy:
    """A hook on the output of each call of attention, which is recorded and then multiplied by a gate."""

    called: list[tuple[Any, Any, Any, Any, Any]]  # module, query, key, value, output (B, T, H, D)
    gates: Mapping[int, Any]  # id of a module → (B or 1, 1, H, 1)


_now: ContextVar[_Spy | None] = ContextVar("heads", default=None)


@contextmanager
def _through(model: Any, spy: _Spy) -> Iterator[None]:
    """Pass the outputs of the model's attention through `spy` within the block."""
    from transformers import AttentionInterface, AttentionMaskInterface

    before = implementation(model)
    if not isinstance(before, str) or before == "eager":
        raise ModelError(
            f"{type(model).__name__} uses mixed or custom attention, so its heads cannot be separated.",
            "Use a model that supports transformers' attention interface, such as BERT, DistilBERT or ViT.",
            id="model.attention-unsupported",
        )
    attend = AttentionInterface()[before]

    def watched(module: Any, query: Any, key: Any, value: Any, *rest: Any, **settings: Any) -> tuple[Any, Any]:
        output, weights = attend(module, query, key, value, *rest, **settings)  # (B, T, H, D)
        spy_now = _now.get()
        if spy_now is None:
            return output, weights
        gate = spy_now.gates.get(id(module))
        output = (output if gate is None else output * gate.to(output.dtype)).contiguous()
        spy_now.called.append((module, query, key, value, output))
        return output, weights

    register(NAME, watched, AttentionMaskInterface()[before])
    switch(model, NAME)
    token = _now.set(spy)
    try:
        yield
    finally:
        _now.reset(token)
        switch(model, before)


def find(model: Any, batch: Mapping[str, Any]) -> list[Layer]:
    """Return the layers of heads, in the order in which they are called.

    Args:
        model: A transformers model in evaluation mode; all its layers attend within one text or picture.
        batch: A real one on the model's device.

    Raises:
        ModelError: Its attention cannot be reached, or nothing linear reads the heads.
    """
    import torch

    made: dict[int, Any] = {}  # address of a linear layer's output → the layer
    readers: dict[int, Any] = {}  # address of its input → the layer
    alive: list[Any] = []  # so that no memory is used twice

    def note(module: Any, inputs: Any, output: Any) -> None:
        alive.extend((inputs[0], output))
        made.setdefault(_place(output), module)
        readers.setdefault(_place(inputs[0]), module)

    spy = _Spy([], {})
    with ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                hooks.callback(module.register_forward_hook(note).remove)
        hooks.enter_context(_through(model, spy))
        hooks.enter_context(torch.no_grad())
        model(**batch)
    layers: list[Layer] = []
    for module, query, key, value, output in spy.called:
        if module in [layer.module for layer in layers]:
            continue  # a layer that is run several times
        reader = readers.get(_place(output))
        heads, width = output.shape[2:]
        if reader is None or reader.in_features != heads * width or query.shape != key.shape:
            raise ModelError(
                f"{type(model).__name__} has no layer that reads concatenated heads, so none can be removed.",
                "Use an encoder such as BERT, DistilBERT, RoBERTa or ViT.",
                id="model.attention-unsupported",
            )
        makers = tuple(made.get(_place(tensor)) for tensor in (query, key, value))
        apart = None not in makers and len(set(map(id, makers))) == 3
        layers.append(Layer(module, heads, width, makers if apart else None, reader))  # type: ignore[arg-type]
    if not layers:
        raise ModelError(
            f"{type(model).__name__} has no attention heads.", "Give a transformer model.", id="model.no-attention"
        )
    return layers


def _place(tensor: Any) -> int:
    return int(tensor.untyped_storage().data_ptr())


def importance(model: Any, layers: Sequence[Layer], batches: Sequence[Mapping[str, Any]]) -> list[Floats]:
    """Return how much the loss depends on each head: the mean over examples of |∂ loss / ∂ gate|.

    Within a layer the values are divided by their 2-norm, as Michel et al. do, so that layers can be compared.

    Args:
        model: In evaluation mode; its output has a `loss`, the mean over the examples.
        layers: From `find`.
        batches: With labels, on the model's device.

    Returns:
        For each layer one number a head. Shape (H,).
    """
    import torch

    sums = [np.zeros(layer.heads) for layer in layers]
    for batch in batches:
        size = len(batch["labels"])
        gates = [torch.ones(size, 1, layer.heads, 1, device=model.device, requires_grad=True) for layer in layers]
        spy = _Spy([], {id(layer.module): gate for layer, gate in zip(layers, gates, strict=True)})
        with torch.enable_grad(), _through(model, spy):
            loss = model(**batch).loss * size  # each example's own loss, so that gradients are of one each
            gradients = torch.autograd.grad(loss, gates)
        for total, gradient in zip(sums, gradients, strict=True):
            total += gradient.double().abs().sum(dim=0).flatten().cpu().numpy()
    return [total / (np.linalg.norm(total) or 1.0) for total in sums]


def order(values: Sequence[Floats]) -> list[tuple[int, int]]:
    """Return (layer, head) of the heads that can be left out, the least important first; one stays in each layer."""
    best = {(layer, int(row.argmax())) for layer, row in enumerate(values)}
    every = [(float(value), layer, head) for layer, row in enumerate(values) for head, value in enumerate(row)]
    return [(layer, head) for _, layer, head in sorted(every) if (layer, head) not in best]


def by_layer(heads: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    """Gather (layer, head) pairs: layer → its heads, in order."""
    return {layer: sorted(h for at, h in heads if at == layer) for layer in sorted({at for at, _ in heads})}


def zero(layers: Sequence[Layer], pruned: Pruned) -> None:
    """Let the output projections read nothing of the heads that are left out."""
    import torch

    for number, heads in pruned.items():
        layer = layers[number]
        with torch.no_grad():
            for head in heads:
                layer.output.weight[:, head * layer.width : (head + 1) * layer.width] = 0


def slim(layers: Sequence[Layer], pruned: Pruned) -> bool:
    """Cut heads out of a loaded model; return whether that could be done, else nothing is changed.

    The model then computes less, and can no longer be saved: its configuration knows one number of heads alone.
    """
    chosen = {number: heads for number, heads in pruned.items() if heads}
    if any(layers[number].inputs is None or len(h) >= layers[number].heads for number, h in chosen.items()):
        return False
    for number, heads in chosen.items():
        layer = layers[number]
        kept = [
            head * layer.width + column
            for head in range(layer.heads)
            if head not in heads
            for column in range(layer.width)
        ]
        for projection in layer.inputs or ():
            _cut(projection, kept, rows=True)
        _cut(layer.output, kept, rows=False)
    return True


def _cut(linear: Any, kept: Sequence[int], *, rows: bool) -> None:
    """Keep some rows, or columns, of a linear layer's matrix."""
    import torch

    index = torch.tensor(kept, device=linear.weight.device)
    linear.weight = torch.nn.Parameter(linear.weight.detach().index_select(0 if rows else 1, index))
    if not rows:
        linear.in_features = len(kept)
        return
    linear.out_features = len(kept)
    if linear.bias is not None:
        linear.bias = torch.nn.Parameter(linear.bias.detach().index_select(0, index))


def slimmed(model: Any, batch: Mapping[str, Any], pruned: Pruned) -> bool:
    """Remove zeroed heads from a loaded model, if its predictions then stay the same.

    Args:
        model: In evaluation mode, with `zero` done to it.
        batch: A real one on the model's device, to try it on.
        pruned: The heads.

    Returns:
        Whether it was done; a model that cannot be cut stays as it was.
    """
    import torch

    try:
        layers = find(model, batch)
    except ModelError:
        return False
    parts = [part for layer in layers for part in (*(layer.inputs or ()), layer.output)]
    before = [(part, dict(part._parameters), part.in_features, part.out_features) for part in parts]
    with torch.no_grad():
        whole = model(**batch).logits
        if not slim(layers, pruned):
            return False
        try:
            difference = (model(**batch).logits - whole).abs().max()
        except RuntimeError:  # the family needs all of its heads
            difference = torch.tensor(torch.inf)
    if difference <= 1e-3 * whole.abs().max() + 1e-5:
        return True
    for part, parameters, columns, rows in before:
        part._parameters.update(parameters)
        part.in_features, part.out_features = columns, rows
    return False


def inputs_for(model: Any) -> dict[str, Any]:
    """Return a small artificial batch that the model accepts, to trace its computation."""
    import torch

    if model.main_input_name == "input_ids":
        return {"input_ids": torch.arange(1, 9, device=model.device)[None] % model.config.vocab_size}
    size = model.config.image_size
    height, width = size if isinstance(size, list | tuple) else (size, size)
    channels = getattr(model.config, "num_channels", 3)
    return {
        model.main_input_name: torch.linspace(-1, 1, height * width, device=model.device)
        .expand(1, channels, -1)
        .reshape(1, channels, height, width)
    }
