"""Attention as in the papers: one equation per function, the shape on every line, no optimization.

    tokens x ──► Q = x W_Q ─┐
                            ├─► S = Q Kᵀ · scale ──► mask ──► A = softmax(S) ──► A V ──► heads side by side ──► W_O
    memory m ─► K = m W_K ──┘                                     ▲
            └─► V = m W_V ────────────────────────────────────────┘

With m = x this is self-attention; with m from elsewhere, such as an encoder, it is cross-attention.

These functions are the oracle of the tests: they equal torch's scaled_dot_product_attention and the layers inside
transformers' models. The recording of real models (`toolkit.attention.record`) computes with them as well.

Letters: B examples, H heads, T queries, S keys, D width of a head, E = H · D width of a token.

Sources: Vaswani et al. 2017, "Attention Is All You Need"; Raffel et al. 2020 (T5) for additive position biases;
Su et al. 2021, "RoFormer", for rotary positions.
"""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Steps:
    """What scaled dot-product attention computes on its way.

    Attributes:
        scores: Scaled, biased and not yet masked. Shape (B, H, T, S).
        weights: Each row sums to one, or to zero where a query may attend to nothing. Shape (B, H, T, S).
        output: Shape (B, H, T, D).
    """

    scores: Any
    weights: Any
    output: Any


def scaled_dot_product(
    query: Any, key: Any, value: Any, *, mask: Any = None, bias: Any = None, scale: float | None = None
) -> Steps:
    """Compute softmax(Q Kᵀ / √D) V (Vaswani et al. 2017, equation 1).

    Args:
        query: What each token searches for. Shape (B, H, T, D).
        key: What queries are compared with. Shape (B, H, S, D).
        value: What each token contributes. Shape (B, H, S, D).
        mask: Boolean, True where a query may attend; or additive, 0 there and very negative elsewhere. Broadcasts to
            (B, H, T, S).
        bias: Added to the scores before the mask, as T5 does with positions. Broadcasts to (B, H, T, S).
        scale: Factor of the scores; 1 / √D when None.
    """
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * factor  # (B, H, T, S)
    if bias is not None:
        scores = scores + bias  # (B, H, T, S)
    weights = softmax(scores, mask)  # (B, H, T, S)
    return Steps(scores, weights, weights @ value)  # (B, H, T, D)


def softmax(scores: Any, mask: Any = None) -> Any:
    """Turn scores into weights: exp(s) / Σ exp(s) over the keys that a query may attend to.

    The largest score of each row is subtracted first, which changes nothing but keeps exp from overflowing. A
    query that may attend to nothing gets weights of zero, where the formula would divide zero by zero.

    Args:
        scores: Shape (B, H, T, S).
        mask: As in `scaled_dot_product`.

    Returns:
        Shape (B, H, T, S).
    """
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if is_boolean(mask) else scores + mask  # (B, H, T, S)
    largest = scores.amax(dim=-1, keepdim=True)  # (B, H, T, 1)
    exponentials = (scores - largest.masked_fill(largest == -math.inf, 0)).exp()  # (B, H, T, S)
    sums = exponentials.sum(dim=-1, keepdim=True)  # (B, H, T, 1)
    return exponentials / sums.masked_fill(sums == 0, 1)  # (B, H, T, S)


def is_boolean(mask: Any) -> bool:
    """Whether a mask is boolean, and not one that is added to the scores."""
    import torch

    return bool(mask.dtype == torch.bool)


def causal_mask(queries: int, keys: int | None = None) -> Any:
    """Let each token attend to itself and to earlier tokens (Vaswani et al. 2017, section 3.2.3).

    Args:
        queries: T.
        keys: S; when there are more keys than queries, the queries are the last of them.

    Returns:
        Boolean. Shape (T, S).
    """
    import torch

    keys = queries if keys is None else keys
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)  # (T, S)


def padding_mask(attention_mask: Any) -> Any:
    """Let no token attend to padding.

    Args:
        attention_mask: 1 for a token, 0 for padding. Shape (B, S).

    Returns:
        Boolean. Shape (B, 1, 1, S).
    """
    return attention_mask.bool()[:, None, None, :]  # (B, 1, 1, S)


@dataclass(frozen=True)
class Projections:
    """The weights of one layer of attention; each maps rows x to x Wᵀ + b, as `torch.nn.Linear` does.

    Attributes:
        query: (W_Q, b_Q). Shapes (E, E) and (E,); b may be None.
        key: (W_K, b_K).
        value: (W_V, b_V).
        output: (W_O, b_O), which mixes the heads.
    """

    query: tuple[Any, Any]
    key: tuple[Any, Any]
    value: tuple[Any, Any]
    output: tuple[Any, Any]


def multi_head(
    inputs: Any,
    memory: Any,
    projections: Projections,
    heads: int,
    *,
    mask: Any = None,
    bias: Any = None,
    scale: float | None = None,
) -> tuple[Any, Any]:
    """Compute Concat(head_1 … head_H) W_O, each head attending on its own (Vaswani et al. 2017, section 3.2.2).

    Args:
        inputs: The tokens that attend. Shape (B, T, E).
        memory: The tokens that are attended to; `inputs` again for self-attention. Shape (B, S, E).
        projections: The layer's weights.
        heads: H; E is a multiple of it.
        mask: As in `scaled_dot_product`.
        bias: As in `scaled_dot_product`.
        scale: As in `scaled_dot_product`; T5 does not scale, which is 1.

    Returns:
        The new tokens, shape (B, T, E), and the weights of every head, shape (B, H, T, S).
    """
    query = split_heads(linear(inputs, projections.query), heads)  # (B, H, T, D)
    key = split_heads(linear(memory, projections.key), heads)  # (B, H, S, D)
    value = split_heads(linear(memory, projections.value), heads)  # (B, H, S, D)
    steps = scaled_dot_product(query, key, value, mask=mask, bias=bias, scale=scale)
    return linear(merge_heads(steps.output), projections.output), steps.weights  # (B, T, E), (B, H, T, S)


def linear(rows: Any, weights: tuple[Any, Any]) -> Any:
    """Compute x Wᵀ + b. Shapes (…, in) → (…, out)."""
    matrix, offset = weights
    product = rows @ matrix.T
    return product if offset is None else product + offset


def split_heads(tokens: Any, heads: int) -> Any:
    """Cut each token's vector into one piece a head: (B, T, E) → (B, H, T, D)."""
    batch, length, width = tokens.shape
    return tokens.reshape(batch, length, heads, width // heads).transpose(1, 2)


def merge_heads(heads: Any) -> Any:
    """Put the heads' pieces side by side again: (B, H, T, D) → (B, T, E)."""
    batch, count, length, width = heads.shape
    return heads.transpose(1, 2).reshape(batch, length, count * width)


def share_keys(heads: Any, queries: int) -> Any:
    """Repeat the heads of keys or values for the groups of queries that share them.

    Source: Ainslie et al. 2023, "GQA", section 2.2.

    Args:
        heads: Shape (B, G, S, D).
        queries: H, a multiple of G.

    Returns:
        Shape (B, H, S, D).
    """
    return heads.repeat_interleave(queries // heads.shape[1], dim=1)


def sinusoidal_positions(length: int, width: int) -> Any:
    """Fixed position vectors: sin and cos of pos / 10000^(2i / E), in turn (Vaswani et al. 2017, section 3.5).

    Args:
        length: T.
        width: E, even.

    Returns:
        To be added to the token vectors. Shape (T, E).
    """
    import torch

    angles = _angles(torch.arange(length), width, 10_000.0)  # (T, E / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)  # (T, E / 2, 2) → (T, E)


def learned_positions(table: Any, positions: Any) -> Any:
    """Look up trained position vectors (Gehring et al. 2017; BERT).

    Args:
        table: One vector for each position. Shape (longest, E).
        positions: Shape (…).

    Returns:
        To be added to the token vectors. Shape (…, E).
    """
    return table[positions]


def rotary_positions(heads: Any, positions: Any, base: float = 10_000.0) -> Any:
    """Turn each pair of numbers in queries and keys by an angle that grows with the position.

    The product of a query at m and a key at n then depends on their contents and on n - m alone.

    Source: Su et al. 2021, "RoFormer", equations 13 to 15 and 34.

    Args:
        heads: Queries or keys. Shape (…, T, D), D even.
        positions: Shape (T,).
        base: The slowest pair turns once in about 2π · base tokens.

    Returns:
        Shape (…, T, D).
    """
    import torch

    angles = _angles(positions, heads.shape[-1], base)  # (T, D / 2)
    first, second = heads[..., 0::2], heads[..., 1::2]  # (…, T, D / 2) each
    turned = (
        first * angles.cos() - second * angles.sin(),
        first * angles.sin() + second * angles.cos(),
    )
    return torch.stack(turned, dim=-1).flatten(-2)  # (…, T, D / 2, 2) → (…, T, D)


def _angles(positions: Any, width: int, base: float) -> Any:
    """Return pos / base^(2i / width) for i = 0 … width / 2 - 1. Shapes (T,) → (T, width / 2)."""
    import torch

    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)  # (width / 2,)
    return positions[:, None].float() * frequencies  # (T, width / 2)
