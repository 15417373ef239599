"""Trace one text through one attention head of a real model, step by step, with the actual numbers.

    tokens → embeddings and positions → Q, K, V → scores → mask → softmax → weighted sum → heads side by side → layer

Every number is recorded inside the model or computed from what was recorded by `toolkit.attention.reference`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.attention.record import Record, recording
from toolkit.attention.reference import merge_heads
from toolkit.errors import ConfigError, ModelError

Floats = np.ndarray[Any, np.dtype[np.float64]]

_SHOWN = 6  # numbers of a vector that are shown


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        title: What it is called.
        equation: How it is computed; empty where nothing is.
        meaning: What it is for, in a sentence.
        shape: Of the whole tensor, over all heads.
        rows: Name of each row of `values`.
        columns: Name of each column of `values`.
        values: The numbers of the chosen head, vectors cut at their first few. Shape (rows, columns).
        kind: "numbers", "ids" for whole ones, or "weights" for shares from 0 to 1.
        cut: Whether the vectors continue beyond the last column.
    """

    title: str
    equation: str
    meaning: str
    shape: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Floats
    kind: str = "numbers"
    cut: bool = False


@dataclass(frozen=True)
class Walk:
    """The trace of a text through one head.

    Attributes:
        tokens: The text's tokens.
        layer: Of the head, counted from 1.
        head: Counted from 1.
        steps: In their order.
        example: One score and its weight, worked out in a line each.
        weights: Of all layers and heads. Shape (L, H, T, T).
        difference: Largest difference between the model's last vectors under its own attention and under the
            reference mathematics.
    """

    tokens: Sequence[str]
    layer: int
    head: int
    steps: Sequence[Step]
    example: Sequence[str]
    weights: Floats
    difference: float


@dataclass(frozen=True)
class Lookup:
    """An embedding table in which the model looked up the tokens.

    Attributes:
        name: The table's name in the model.
        size: Vectors in it.
        vectors: The looked-up vectors. Shape (T, E).
        apart: Whether it was indexed by the distance of tokens, as in T5; here, from the first one.
    """

    name: str
    size: int
    vectors: Floats
    apart: bool = False


def walk(model: Any, tokenizer: Any, text: str, layer: int = 1, head: int = 1) -> Walk:
    """Run `text` through `model` and keep every step of one head.

    Args:
        model: A transformers model that reads text, in evaluation mode; of an encoder-decoder the encoder
            is traced.
        tokenizer: Its tokenizer.
        text: Truncated to the model's maximum length, which the first step reports.
        layer: Counted from 1.
        head: Counted from 1.

    Raises:
        ConfigError: There is no such layer or head, or no text.
        ModelError: The model reads no text, or its attention cannot be recorded.
    """
    import torch

    if model.main_input_name != "input_ids":
        raise ModelError(
            f"{type(model).__name__} does not read text.",
            "Give a text model, such as `minilm`.",
            id="model.wrong-input",
        )
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    batch = tokenizer(text, return_tensors="pt", truncation=True, return_token_type_ids=False)
    if not text.strip() or not batch["input_ids"].numel():
        raise ConfigError(
            "The text is empty.",
            'Give a sentence: toolkit attend minilm "The cat sat on the mat".',
            id="config.nothing-given",
        )
    whole = len(tokenizer(text, verbose=False)["input_ids"])
    inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
    with torch.no_grad():
        own = model(**inputs).last_hidden_state
        with lookups(model) as tables, recording(model) as records, _products(model) as products:
            outputs = model(**inputs, output_hidden_states=True)
    if not records:
        raise ModelError(
            f"{type(model).__name__} has no attention to show.", "Give a transformer model.", id="model.no-attention"
        )
    _check("layer", layer, len(records))
    record = records[layer - 1]
    _check("head", head, record.weights.shape[1])
    tokens = [readable(token) for token in tokenizer.convert_ids_to_tokens(batch["input_ids"][0])]
    mixed = _mixed(record, products, tokens)
    states = outputs.hidden_states if len(outputs.hidden_states) == len(records) + 1 else None
    return Walk(
        tokens=tokens,
        layer=layer,
        head=head,
        steps=[
            _tokens(tokens, batch["input_ids"][0], whole),
            *(_lookup(table, tokens) for table in tables),
            *([_entering(states[layer - 1][0], tokens, layer)] if states is not None else []),
            *_inside(record, tokens, head - 1),
            *mixed,
            *([_leaving(states[layer][0], tokens, layer, mixed=bool(mixed))] if states is not None else []),
        ],
        example=worked_example(record, tokens, head - 1),
        weights=np.stack([_numbers(r.weights[0]) for r in records]),
        difference=float((own - outputs.last_hidden_state).abs().max()),
    )


def _check(what: str, number: int, count: int) -> None:
    if not 1 <= number <= count:
        raise ConfigError(
            f"There is no {what} {number}: the model has {count}.",
            f"Give --{what} from 1 to {count}.",
            id="config.out-of-range",
        )


def readable(token: str) -> str:
    """Write the marks that tokenizers put for a space as one: Ġ and ▁ become ␣."""
    return token.replace("Ġ", "␣").replace("▁", "␣").replace("Ċ", "⏎")


@contextmanager
def lookups(model: Any) -> Iterator[list[Lookup]]:
    """Within the block, record the lookups in each embedding table, whatever its name."""
    import torch

    steps: list[Lookup] = []
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Embedding):

            def keep(table: Any, inputs: Any, vectors: Any, name: str = name) -> None:
                if vectors.ndim >= 2 and vectors.is_floating_point():
                    rows = vectors.reshape(-1, vectors.shape[-2], vectors.shape[-1])
                    apart = getattr(inputs[0], "ndim", 0) == 2 and len(inputs[0]) > 1  # of a pair of tokens each
                    steps.append(Lookup(name, table.num_embeddings, _numbers(rows[0]), apart))

            hooks.append(module.register_forward_hook(keep))
    try:
        yield steps
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _products(model: Any) -> Iterator[list[tuple[Any, Any]]]:
    """Within the block, record what each layer with a matrix reads and returns."""
    import torch

    calls: list[tuple[Any, Any]] = []

    def keep(_layer: Any, inputs: Any, output: Any) -> None:
        if inputs and isinstance(inputs[0], torch.Tensor) and isinstance(output, torch.Tensor):
            calls.append((inputs[0], output))

    hooks = [
        module.register_forward_hook(keep)
        for module in model.modules()
        if getattr(getattr(module, "weight", None), "ndim", 0) == 2 and not isinstance(module, torch.nn.Embedding)
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _numbers(tensor: Any) -> Floats:
    return tensor.detach().double().cpu().numpy()  # type: ignore[no-any-return]


def _vectors(title: str, equation: str, meaning: str, shape: Any, tokens: Sequence[str], vectors: Floats) -> Step:
    """A step whose rows are vectors, of which the first numbers are shown."""
    shown = min(vectors.shape[-1], _SHOWN)
    columns = [str(number) for number in range(1, shown + 1)]
    cut = shown < vectors.shape[-1]
    return Step(title, equation, meaning, _shape(shape), tokens, columns, vectors[:, :shown], cut=cut)


def _shape(sizes: Sequence[int]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _tokens(tokens: Sequence[str], ids: Any, whole: int) -> Step:
    cut = (
        f" The model reads {len(tokens):,} of the text's {whole:,}: the rest is dropped." if whole > len(tokens) else ""
    )
    meaning = f"The text as tokens, each with a number in the vocabulary.{cut}"
    return Step("Tokens", "", meaning, _shape(ids.shape), tokens, ["id"], _numbers(ids)[:, None], "ids")


def _lookup(table: Lookup, tokens: Sequence[str]) -> Step:
    same = len(np.unique(table.vectors, axis=0)) == 1 < len(tokens)
    which = "the same for every token" if same else "one for each token"
    meaning = f"A learned vector from a table of {table.size:,}, {which}."
    if table.apart:
        meaning = f"A number for each head from a table of {table.size:,}, by the distance of a token from the first."
    vectors = np.broadcast_to(table.vectors, (len(tokens), table.vectors.shape[-1]))
    return _vectors(f"Looked up in {table.name.rpartition('.')[2]}", "E[id]", meaning, vectors.shape, tokens, vectors)


def _entering(states: Any, tokens: Sequence[str], layer: int) -> Step:
    came = "the vectors above, summed and normalised" if layer == 1 else f"the output of layer {layer - 1}"
    return _vectors(f"Into layer {layer}", "x", f"{came[0].upper()}{came[1:]}.", states.shape, tokens, _numbers(states))


def _inside(record: Record, tokens: Sequence[str], head: int) -> Iterator[Step]:
    parts = (
        ("Queries", "Q = x W_Q", "The query of each token: what it searches for.", record.query),
        ("Keys", "K = x W_K", "The key of each token: what queries are compared with.", record.key),
        ("Values", "V = x W_V", "The value of each token: what it contributes when attended to.", record.value),
    )
    for title, equation, meaning, tensor in parts:
        yield _vectors(title, equation, meaning, tensor.shape[1:], tokens, _numbers(tensor[0, head]))
    shape = record.scores.shape[1:]

    def matrix(title: str, equation: str, meaning: str, values: Any, kind: str = "numbers") -> Step:
        return Step(title, equation, meaning, _shape(shape), tokens, tokens, _numbers(values), kind)

    meaning = "Scaled dot product of each row's query and each column's key."
    yield matrix("Scores", f"S = Q Kᵀ × {record.scale:.4g}", meaning, record.scores[0, head])
    if record.mask is not None and not bool(record.mask[0].all()):
        allowed = record.mask[0].expand(shape)[head]
        yield matrix("Mask", "S = −∞ where 0", "Which tokens each row may attend to.", allowed, "weights")
    meaning = "The attention weights: softmax of the scores of each row, which sums to 1."
    yield matrix("Weights", "A = softmax(S)", meaning, record.weights[0, head], "weights")
    output = record.output[0]
    meaning = "The output for each token: the sum of all values, weighted by its attention."
    yield _vectors("Weighted sum", "A V", meaning, output.shape, tokens, _numbers(output[head]))
    joined = merge_heads(record.output)[0]
    meaning = f"The outputs of all {len(output)} heads, {output.shape[-1]} numbers each."
    yield _vectors("Concatenated heads", "Concat(head_1 … head_H)", meaning, joined.shape, tokens, _numbers(joined))


def _mixed(record: Record, products: Sequence[tuple[Any, Any]], tokens: Sequence[str]) -> list[Step]:
    """Return the step of the output projection: of the layer that reads the concatenated heads, where there is one."""
    joined = merge_heads(record.output)
    read = (output for inputs, output in products if inputs.shape == joined.shape and bool((inputs == joined).all()))
    output = next(read, None)
    if output is None:
        return []
    equation = "Concat(head_1 … head_H) W_O + b_O"
    meaning = "The learned matrix W_O mixes the outputs of the heads into one vector for each token."
    return [_vectors("Output projection", equation, meaning, output.shape[1:], tokens, _numbers(output[0]))]


def _leaving(states: Any, tokens: Sequence[str], layer: int, *, mixed: bool) -> Step:
    rest = "residual connection, then the feed-forward network for each token."
    meaning = f"{rest[0].upper()}{rest[1:]}" if mixed else f"Projection by W_O, {rest}"
    return _vectors(f"Out of layer {layer}", "", meaning, states.shape, tokens, _numbers(states))


def worked_example(record: Record, tokens: Sequence[str], head: int) -> list[str]:
    """Work out one score and one weight: of the middle token, and the token it attends to most."""
    row = len(tokens) // 2
    weights = _numbers(record.weights[0, head, row])
    column = int(weights.argmax())
    query, key = _numbers(record.query[0, head, row]), _numbers(record.key[0, head, column])
    product, score = float(query @ key), float(record.scores[0, head, row, column])
    terms = " ".join(f"{q:+.2f}×{k:+.2f}" for q, k in zip(query[:3], key[:3], strict=True))
    bias = score - product * record.scale
    added = f" {bias:+.3f} for the position" if abs(bias) > 1e-4 else ""
    lines = [
        f"“{tokens[row]}” is the query, “{tokens[column]}” the key: q·k = {terms} … = {product:.3f}",
        f"score = {product:.3f} × {record.scale:.4g}{added} = {score:.3f}",
        f"weight = exp({score:.3f}) / Σ exp(scores of “{tokens[row]}”) = {weights[column]:.3f}",
    ]
    return [line.replace("-", "−") for line in lines]
