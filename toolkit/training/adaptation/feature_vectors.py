"""Features of a pretrained model: one vector for each example, or for each word, without training.

inputs → backbone → what reaches the output layer (`HEAD`), and the mean of all tokens (`MEAN`)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit import models
from toolkit.data.batching.batch import Features, Integers, plan_evaluation
from toolkit.training.adaptation import mean_pooling
from toolkit.training.adaptation.probe_kinds import Labels

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
Floats = np.ndarray[Any, np.dtype[np.float32]]

HEAD = "head input"  # what reaches the last layer
MEAN = "mean"  # of all tokens, normalised
_VECTORS = 20_000  # maximum number of training words


@dataclass(frozen=True)
class Vectors:
    """Vectors of the rows of a split, by pooling.

    Attributes:
        by_pooling: `HEAD`, `MEAN` → vectors. Each of shape (N, D).
        labels: Class numbers (N,), whether a row has each class (N, C), or numbers (N,).
    """

    by_pooling: Mapping[str, Floats]
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


def output_layer(model: Any, batch: Mapping[str, Any]) -> Any | None:
    """Return the linear layer whose output is the logits, or None where another operation follows.

    Args:
        model: With a head for its classes.
        batch: A real one on the CPU.
    """
    import torch

    sized = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    outputs: dict[int, Any] = {}
    hooks = [
        layer.register_forward_hook(lambda module, _inputs, output: outputs.update({id(module): output}))
        for layer in sized
    ]
    try:
        with models.plainly(model):
            logits = _run(model, batch).logits
    finally:
        for hook in hooks:
            hook.remove()
    return next((m for m in sized if id(m) in outputs and _same(outputs[id(m)], logits)), None)


def vectors(
    model: Any,
    layer: Any | None,
    features: Features,
    collate: Collate,
    batch_size: int,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> Iterator[tuple[Integers, Vectors]]:
    """Yield (row numbers, their vectors), batch by batch, rows of like lengths together.

    Where each word has a label, words of a row are consecutive, and row numbers are repeated.

    Args:
        model: On its device.
        layer: From `output_layer`.
        features: The rows, with "labels".
        collate: Stacks rows into a batch.
        batch_size: Rows in a forward pass.
        autocast: Creates the context in which the model computes.
    """
    for rows, batch, captured in _captured(model, layer, features, collate, batch_size, autocast):
        labels = np.asarray(batch["labels"])
        by_row = labels.ndim == 1 or labels.dtype.kind == "f"
        known = np.ones(len(labels), bool) if labels.dtype.kind == "f" else labels >= 0
        # (B,) or (B, T): of words the rest are not first pieces
        taken = pooled(captured, batch, by_word=not by_row)
        numbers = np.broadcast_to(rows.reshape(-1, *[1] * (known.ndim - 1)), known.shape)[known]
        yield numbers, Vectors({name: part[known] for name, part in taken.items()}, labels[known])


def in_order(batches: Iterable[tuple[Integers, Vectors]]) -> tuple[Integers, Vectors]:
    """Return what `vectors` yields as one, with the row numbers, in the order of the rows; words stay consecutive."""
    numbers, parts = zip(*batches, strict=True)
    rows = np.concatenate(numbers)
    order = np.argsort(rows, kind="stable")
    return rows[order], _concatenated(parts, order)


def row_means(model: Any, features: Features, collate: Collate, batch_size: int) -> Floats | None:
    """Return the mean of all tokens of each row, normalised, without labels; None for a model that has none. (N, D).

    Args:
        model: On its device.
        features: The rows; labels are not needed.
        collate: Stacks rows into a batch.
        batch_size: Rows in a forward pass.
    """
    means: Floats | None = None
    for rows, batch, captured in _captured(model, None, features, collate, batch_size, nullcontext):
        part = pooled(captured, batch, by_word=False).get(MEAN)
        if part is None:
            return None
        means = np.zeros((len(features), part.shape[1]), np.float32) if means is None else means
        means[rows] = part
    return means


def _captured(
    model: Any,
    layer: Any | None,
    features: Features,
    collate: Collate,
    batch_size: int,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> Iterator[tuple[Integers, dict[str, Any], dict[str, Any]]]:
    """Yield (row numbers, batch, what `pooled` takes of it), batch by batch, rows of like lengths together."""
    with capturing(model, layer) as captured, models.plainly(model):
        for rows in plan_evaluation(features.lengths, batch_size):
            batch = collate([features[int(row)] for row in rows])
            captured.clear()
            with autocast():
                _run(model, batch)
            yield rows, batch, captured


@contextmanager
def capturing(model: Any, layer: Any | None) -> Iterator[dict[str, Any]]:
    """Return a dictionary that each forward pass fills with what `pooled` takes.

    Args:
        model: Its forward pass is that of padded batches.
        layer: From `output_layer`.
    """
    captured: dict[str, Any] = {}

    def keep_input(_module: Any, arguments: tuple[Any, ...]) -> None:
        captured[HEAD] = arguments[0]

    def keep_output(_module: Any, _inputs: Any, output: Any) -> None:
        captured["hidden"] = getattr(output, "last_hidden_state", None)

    hooks = [layer.register_forward_pre_hook(keep_input)] if layer is not None else []
    base = getattr(model, "base_model", model)
    if base is not model:
        hooks.append(base.register_forward_hook(keep_output))
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()


def pooled(captured: Mapping[str, Any], batch: Mapping[str, Any], by_word: bool) -> dict[str, Floats]:
    """Return vectors by pooling: (B, D) each, or (B, T, D) by word."""
    tensors = {}
    if captured.get(HEAD) is not None:
        tensors[HEAD] = captured[HEAD]
    hidden = captured.get("hidden")
    if hidden is not None and not by_word:
        if hidden.ndim == 4:  # (B, C, H, W): maps of a convolution
            tensors[MEAN] = hidden.mean(dim=(2, 3))
        elif hidden.ndim == 3:  # (B, T, D)
            mask = batch.get("attention_mask")
            if mask is None or tuple(mask.shape) != tuple(hidden.shape[:2]):
                tensors[MEAN] = hidden.mean(dim=1)
            else:
                tensors[MEAN] = mean_pooling.mean_of_tokens(hidden, mask)
    vectors = {name: tensor.float().cpu().numpy() for name, tensor in tensors.items()}
    return vectors if MEAN not in vectors else vectors | {MEAN: mean_pooling.normalised(vectors[MEAN])}


def collected(
    model: Any,
    layer: Any | None,
    features: Features,
    collate: Collate,
    batch_size: int,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> Vectors:
    """Return what `vectors` yields as one, in its order; of very many words some are left out."""
    return joined([part for _, part in vectors(model, layer, features, collate, batch_size, autocast)])


def joined(parts: Sequence[Vectors], most: int = _VECTORS) -> Vectors:
    """Put the vectors of several batches together, `most` of them at most, taken evenly."""
    count = sum(map(len, parts))
    return _concatenated(parts, np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64)))


def _concatenated(parts: Sequence[Vectors], chosen: Integers) -> Vectors:
    """Put the vectors of several batches together, and take some of them, or all in another order."""
    pooled = {name: np.concatenate([part.by_pooling[name] for part in parts])[chosen] for name in parts[0].by_pooling}
    return Vectors(pooled, np.concatenate([part.labels for part in parts])[chosen])


def _run(model: Any, batch: Mapping[str, Any]) -> Any:
    return model(**{name: tensor.to(model.device) for name, tensor in batch.items()})


def _same(output: Any, logits: Any) -> bool:
    import torch

    return tuple(output.shape) == tuple(logits.shape) and torch.equal(output, logits)
