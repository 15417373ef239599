"""Mean pooling inside the standard architecture: one more layer whose attention is uniform.

    hidden states (B, T, D) → layer whose queries and keys are 0: each token receives the mean over all tokens (B, T, D)
        → pooler with a scaled identity, in the nearly linear part of its activation → output layer

A classifier of BERT's kind reads the first token. Where a logistic regression on the mean of all tokens predicts
better, the mean must reach the output layer by operations that every program for the family supports; so the
layer is one of the family's own with chosen weights, and the saved model is the same class with one layer more. What
is added is frozen in training: it represents an operation without parameters.

The family is not checked by name. The weights are set, the model is run, and unless the mean arrives the change is
undone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from toolkit import models
from toolkit.attention import heads
from toolkit.errors import ModelError

_GAIN = 256.0  # of the mean over the residual connection, which remains; more would exceed the range of 16-bit floats
_TOLERANCE = 0.05  # of the largest component, for the residual connection and a nonlinear activation
# Weights of the pooler's linear layer (scale of the identity, bias) in which activations are nearly linear: tanh near
# 0; ReLU and GELU far above 0, beyond what a normalised vector can hold (`_Pooler.set` multiplies by √D).
_NEARLY_LINEAR = ((0.05, 0.0), (1.0, 1.0))


@dataclass(frozen=True)
class Pooled:
    """A model that pools by the mean.

    Attributes:
        scale: The input of the output layer is `scale × normalised mean + shift`.
        shift: See `scale`.
    """

    scale: float
    shift: float


def add(model: Any, layer: Any, batch: Mapping[str, Any]) -> Pooled | None:
    """Let the output layer of a classifier read the mean of all tokens; None without a change where it cannot.

    Args:
        model: Reads the first token of its last hidden states; on its device.
        layer: Its output layer.
        batch: A real one on the CPU.
    """
    import torch

    layers = _layers(model)
    if layers is None or "attention_mask" not in batch:  # pictures have none
        return None
    batch = {name: tensor.to(model.device) for name, tensor in batch.items() if name != "labels"}
    dense = [m for m in _outside(model, layers) if m.in_features == m.out_features == _width(model) and m is not layer]
    if len(dense) > 1:
        return None
    before = [(module, deepcopy(module.state_dict())) for module in dense]
    shared = {
        id(config): config for config in (getattr(m, "config", None) for m in layers.modules()) if config is not None
    }
    layers.append(deepcopy(layers[-1], shared))
    model.config.num_hidden_layers += 1
    with models.plainly(model):
        if _average(model, layers[-1], batch):
            for scale, bias in _NEARLY_LINEAR if dense else ((1.0, 0.0),):
                shift = bias * _width(model) ** 0.5
                for module in dense:
                    with torch.no_grad():
                        module.weight.copy_(scale * torch.eye(_width(model)))
                        module.bias.fill_(shift)
                if _arrives(model, layer, layers, batch, scale, shift):
                    for module in (layers[-1], *dense):
                        module.requires_grad_(False)
                    return Pooled(scale, shift)
    del layers[-1]
    model.config.num_hidden_layers -= 1
    for module, state in before:
        module.load_state_dict(state)
    return None


def is_added(layer: Any) -> bool:
    """Whether a layer is one that `add` added: its queries and keys are 0, so its attention is uniform."""
    import torch

    linear = [module for module in layer.modules() if isinstance(module, torch.nn.Linear)]
    return sum(not bool(module.weight.any()) for module in linear) >= 2


def mean_of_tokens(hidden: Any, mask: Any) -> Any:
    """Return the mean of hidden states (B, T, D) over the tokens that a mask (B, T) marks. Shape (B, D)."""
    weights = mask.to(hidden.device).unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def normalised(mean: Any) -> Any:
    """Return vectors (N, D) with mean 0 and variance 1 over D, as the last normalisation of the layer leaves them."""
    centred = mean - mean.mean(axis=1, keepdims=True)
    return centred / (centred.std(axis=1, keepdims=True) + 1e-6)


def _width(model: Any) -> int:
    return int(model.config.hidden_size)


def _layers(model: Any) -> Any | None:
    """Return the list of the encoder's layers."""
    import torch

    count = getattr(model.config, "num_hidden_layers", None)
    base = getattr(model, "base_model", None)
    if base is None or not isinstance(getattr(model.config, "hidden_size", None), int):
        return None
    lists = [m for m in base.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    return lists[0] if len(lists) == 1 else None


def _outside(model: Any, layers: Any) -> list[Any]:
    """Return the linear layers that are not in the encoder."""
    import torch

    inside = {id(module) for module in layers.modules()}
    return [m for m in model.modules() if isinstance(m, torch.nn.Linear) and id(m) not in inside]


def _average(model: Any, added: Any, batch: Mapping[str, Any]) -> bool:
    """Set the weights of the added layer; False where its attention is not made of four linear layers."""
    import torch

    try:
        recorded = heads.find(model, batch)
    except (ModelError, RuntimeError, TypeError, ValueError):
        return False
    last = recorded[-1]
    if last.inputs is None or last.module not in added.modules():
        return False
    query, key, value = last.inputs
    with torch.no_grad():
        for module in added.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.zero_()
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, torch.nn.LayerNorm):
                module.weight.fill_(1.0)
                module.bias.zero_()
        if value.weight.shape[0] != value.weight.shape[1] or last.output.weight.shape != value.weight.shape:
            return False
        value.weight.copy_(torch.eye(len(value.weight)))
        last.output.weight.copy_(_GAIN * torch.eye(len(value.weight)))
    return len({id(module) for module in (query, key, value, last.output)}) == 4


def _arrives(model: Any, layer: Any, layers: Any, batch: Mapping[str, Any], scale: float, shift: float) -> bool:
    """Whether the input of the output layer is the normalised mean of the output of the layer before the added one."""
    with _captured(layers[-2], layer) as captured:
        try:
            model(**batch)
        except (RuntimeError, TypeError, ValueError, IndexError):
            return False
    hidden, received = captured["hidden"], captured["received"]
    if batch["attention_mask"].shape != hidden.shape[:2]:  # of samples, where the encoder has frames
        return False
    expected = normalised(mean_of_tokens(hidden, batch["attention_mask"]).float().cpu().numpy())
    read = ((received - shift) / scale).float().cpu().numpy()
    return read.shape == expected.shape and bool(abs(read - expected).max() <= _TOLERANCE * abs(expected).max())


@contextmanager
def _captured(encoder: Any, layer: Any) -> Iterator[dict[str, Any]]:
    """Record the output of an encoder layer ("hidden") and the input of the output layer ("received")."""
    captured: dict[str, Any] = {}

    def keep_output(_module: Any, _inputs: Any, output: Any) -> None:
        captured["hidden"] = output[0] if isinstance(output, tuple) else output

    def keep_input(_module: Any, inputs: Any) -> None:
        captured["received"] = inputs[0]

    hooks = [encoder.register_forward_hook(keep_output), layer.register_forward_pre_hook(keep_input)]
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()
