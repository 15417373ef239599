"""Attention within each sequence of a packed batch, registered with transformers' attention interface."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

NAME = "toolkit-packed"

_MULTIPLE = 64  # of tokens in a batch, where each number of them costs the generation of kernels
_KEPT = 2**23  # attention weights of a layer that may be kept for the backward pass: some 50 MB

Drop = Callable[[Any, float], Any]


@dataclass(frozen=True)
class Layout:
    """The places of the tokens of a padded batch when it is packed.

    Attributes:
        shape: Of the padded batch, (B, T).
        index: Place of each real token in the padded batch laid flat, in packed order, then of the surplus ones of
            `rounded`. Shape (N,).
        runs: (sequences, length) of neighbours of one length; sequences × length sums up to the real tokens.
        boundaries: Where each sequence starts, and N at last. Shape (B + 1,), int32.
    """

    shape: tuple[int, int]
    index: Any
    runs: tuple[tuple[int, int], ...]
    boundaries: Any

    @property
    def tokens(self) -> int:
        """How many tokens the layers process, N."""
        return int(self.index.shape[0])

    @property
    def real(self) -> int:
        """How many of them are real."""
        return sum(sequences * length for sequences, length in self.runs)

    @property
    def varied(self) -> bool:
        """Whether sequences have several lengths, so that the next batch's shapes are others; not so for pictures."""
        return len(self.runs) > 1

    def rounded(self) -> "Layout":
        """Return a layout with a multiple of `_MULTIPLE` tokens; the surplus ones take part in no attention."""
        import torch

        surplus = -self.tokens % _MULTIPLE
        return replace(self, index=torch.cat([self.index, self.index.new_zeros(surplus)])) if surplus else self


def lay_out(attention_mask: Any, device: Any) -> Layout:
    """Arrange a batch's real tokens by sequence, the longest sequences first.

    Args:
        attention_mask: 1 for real tokens, 0 for padding on either side. Shape (B, T), on the CPU.
        device: Where the layers compute; tensors are copied there without waiting.
    """
    import torch

    kept = attention_mask.bool()
    lengths = kept.sum(dim=1)
    order = torch.argsort(lengths, descending=True, stable=True)
    places = torch.arange(kept.numel()).view_as(kept)
    index = places[order][kept[order]]
    ordered = lengths[order]
    boundaries = torch.nn.functional.pad(ordered.cumsum(0), (1, 0)).int()
    values, counts = torch.unique_consecutive(ordered, return_counts=True)
    runs = tuple((int(n), int(length)) for length, n in zip(values, counts, strict=True) if length)
    moved = (tensor.to(device, non_blocking=True) for tensor in (index, boundaries))
    return Layout((kept.shape[0], kept.shape[1]), next(moved), runs, next(moved))


class Now:
    """The current batch: its layout and, inside a trimmed last layer, all keys and values of its attention.

    Attributes:
        layout: Of the batch; None when it is run padded.
        drop: Drops attention weights at a rate; torch's dropout when None.
        kernel: Attention kernel; "auto" chooses by device and precision.
        hidden_states: Input of a trimmed layer, then its first norm's output. (1, N, H)
        key: Its keys of all tokens. (1, N, heads · D)
        value: Its values of all tokens. (1, N, heads · D)
        spy: Called with the queries, keys and values that reach attention.
    """

    layout: Layout | None = None
    drop: Drop | None = None
    kernel: str = "auto"
    hidden_states: Any = None
    key: Any = None
    value: Any = None
    spy: Callable[..., None] | None = None

    @classmethod
    def clear(cls) -> None:
        """Forget the batch."""
        cls.layout = cls.hidden_states = cls.key = cls.value = None


def mask(*arguments: Any, **keywords: Any) -> Any:
    """A packed batch needs no mask; any other gets SDPA's."""
    from transformers.masking_utils import sdpa_mask

    return None if Now.layout is not None else sdpa_mask(*arguments, **keywords)


def attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **keywords: Any,
) -> tuple[Any, None]:
    """Attend within each sequence of a packed batch; without a layout this is SDPA.

    Args:
        module: The attention module that calls.
        query: (1, heads, N, D), as are `key` and `value`.
        key: See `query`.
        value: See `query`.
        attention_mask: None for a packed batch.
        dropout: Rate at which attention weights are dropped.
        scaling: Factor on the scores; 1/√D when None.
        keywords: What the model's family adds.

    Returns:
        (1, N, heads, D), and no weights.

    Raises:
        NotImplementedError: The family needs more than plain attention.
    """
    if Now.layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        outputs: tuple[Any, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **keywords
        )
        return outputs
    unsupported = [name for name in ("sliding_window", "softcap", "position_bias") if keywords.get(name) is not None]
    if unsupported or attention_mask is not None:
        raise NotImplementedError(f"packed attention with {', '.join(unsupported) or 'a mask'}")
    key, value = all_tokens(query, key, value)
    if dropout == 0 and Now.kernel in ("auto", "varlen") and _fits_kernel(query):
        return _varlen(query, key, value, Now.layout, scaling), None

    def attend(q: Any, k: Any, v: Any) -> Any:
        return product(q, k, v, None, dropout, scaling)

    return by_runs(query, key, value, attend), None


def all_tokens(query: Any, key: Any, value: Any) -> tuple[Any, Any]:
    """Return the keys and values of all tokens of the packed batch, where a trimmed layer has the first ones only.

    Args:
        query: (1, heads, N or B, D), as are `key` and `value`.
        key: See `query`.
        value: See `query`.

    Returns:
        Two of (1, heads, N, D).

    Raises:
        NotImplementedError: The model attends to other tokens than the batch's.
    """
    if key.shape != query.shape:
        raise NotImplementedError("attention with fewer keys than queries")
    if Now.spy is not None:
        Now.spy(query=query, key=key, value=value)
    if Now.key is not None and Now.value is not None:
        size = (-1, query.shape[1], query.shape[3])
        key, value = (states.view(1, *size).transpose(1, 2) for states in (Now.key, Now.value))
    if Now.layout is None or key.shape[2] != Now.layout.tokens:
        raise NotImplementedError("attention over other tokens than the batch's")
    return key, value


def _fits_kernel(query: Any) -> bool:
    """Whether a GPU kernel supports concatenated sequences: in 16 bits, from Ampere on, with heads of usual width."""
    import torch

    if not query.is_cuda or query.element_size() != 2:
        return False
    width = query.shape[-1]
    return width % 8 == 0 and width <= 256 and torch.cuda.get_device_capability(query.device) >= (8, 0)


def _varlen(query: Any, key: Any, value: Any, layout: Layout, scaling: float | None) -> Any:
    """Attend in one call of the GPU kernel for concatenated sequences."""
    import torch
    from torch.nn.attention.varlen import varlen_attn

    longest = layout.runs[0][1]
    queries, rows, contents = (tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value))  # (N, heads, D)
    starts = questions = layout.boundaries
    most = longest
    if query.shape[2] != key.shape[2]:  # one query a sequence
        questions, most = torch.arange(len(starts), dtype=torch.int32, device=starts.device), 1
    attended: Any = varlen_attn(queries, rows, contents, questions, starts, most, longest, scale=scaling)
    return attended[None]


def by_runs(query: Any, key: Any, value: Any, attend: Callable[[Any, Any, Any], Any]) -> Any:
    """Attend in one call for each run of sequences of one length.

    Args:
        query: (1, heads, N, D), or (1, heads, B, D) of each sequence's first token.
        key: (1, heads, N, D).
        value: (1, heads, N, D).
        attend: Takes (n, heads, L or 1, D) and twice (n, heads, L, D), returns the shape of the first.

    Returns:
        (1, N or B, heads, D).
    """
    import torch

    runs = Now.layout.runs if Now.layout is not None else ()
    each = query.shape[2] != key.shape[2]  # one query a sequence
    # one view and one split of each, whose gradients are one tensor: slices would have one as large as all, each
    sizes = [sequences * length for sequences, length in runs]
    surplus = key.shape[2] - sum(sizes)
    sizes += [surplus] if surplus else []
    counts = [sequences for sequences, _ in runs] if each else sizes
    parts = (
        tensor.squeeze(0).transpose(0, 1).split(pieces)
        for tensor, pieces in ((query, counts), (key, sizes), (value, sizes))
    )  # of (N, heads, D), for each run (n · queries, heads, D)
    outputs = []
    for (sequences, _), *run in zip(runs, *parts, strict=False):  # without the surplus tokens
        q, k, v = (states.unflatten(0, (sequences, -1)).transpose(1, 2) for states in run)  # (n, heads, 1 or L, D)
        outputs.append(attend(q, k, v).transpose(1, 2).flatten(0, 1))  # (n · queries, heads, D)
    if surplus and not each:
        outputs.append(outputs[0].new_zeros(surplus, *outputs[0].shape[1:]))
    return torch.cat(outputs)[None]


def product(query: Any, key: Any, value: Any, allowed: Any, rate: float, scaling: float | None) -> Any:
    """Attend by SDPA, or in plain products where SDPA is slow: with dropout of weights, or 16-bit gradients on a CPU.

    For sequences of several lengths these products are made in 32 bits on a CPU: in 16, oneDNN generates kernels for
    each new number and length of sequences, which takes longer than the products.

    Args:
        query: (n, heads, L, D).
        key: (n, heads, K, D).
        value: (n, heads, K, D).
        allowed: True where a query may attend, or a term of its scores; broadcasts to (n, heads, L, K). None for
            everywhere.
        rate: Of dropout.
        scaling: Factor on the scores; 1/√D when None.

    Returns:
        (n, heads, L, D).
    """
    import torch

    if rate == 0 and not spells_out(query, key):
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed, scale=scaling)
    if not _widened(query):
        return _spelled_out(query, key, value, allowed, rate, scaling)
    with torch.autocast("cpu", enabled=False):
        wide = query.float(), key.float(), value.float()
        return _spelled_out(*wide, allowed, rate, scaling).to(query.dtype)


def _widened(query: Any) -> bool:
    """Whether plain products are made in 32 bits."""
    varied = Now.layout is not None and Now.layout.varied
    return varied and query.device.type == "cpu" and query.element_size() == 2


def _spelled_out(query: Any, key: Any, value: Any, allowed: Any, rate: float, scaling: float | None) -> Any:
    """Attend in plain products; see `product`."""
    import torch

    factor = scaling if scaling is not None else query.shape[-1] ** -0.5
    scores = (query if factor == 1 else query * factor) @ key.transpose(-1, -2)  # (n, heads, L, K)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf) if allowed.dtype == torch.bool else scores + allowed
    weights = scores.softmax(dim=-1)
    if rate:
        drop = Now.drop or torch.nn.functional.dropout
        weights = drop(weights, rate)
    return weights @ value


def spells_out(query: Any, key: Any) -> bool:
    """Whether to attend in plain matrix products: as chosen, or where SDPA's gradient is four to ten times slower.

    That is so in 16 bits on a CPU. Products keep all weights for the gradient, so there must not be too many.
    """
    import torch

    weights = query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
    if weights > _KEPT or not torch.is_grad_enabled() or Now.kernel == "sdpa":
        return False
    return Now.kernel == "products" or (query.device.type == "cpu" and query.element_size() == 2)
