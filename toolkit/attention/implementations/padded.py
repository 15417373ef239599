"""Attention of padded batches in plain products, where SDPA is slow: for models that cannot be run without padding.

It computes what SDPA would; see `sequences.product` for the cases in which SDPA is slow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.attention.implementations.sequences import Drop, Now, product, spells_out
from toolkit.attention.interface import implementation, register, switch
from toolkit.errors import ModelError

NAME = "toolkit-padded"


@contextmanager
def products(model: Any, drop: Drop | None = None) -> Iterator[None]:
    """Let `model` attend in plain products while the block lasts, on a CPU and if its kernel is SDPA.

    Args:
        model: A transformers model on its device; given back as it was.
        drop: (weights, rate) → weights, with which attention weights are dropped in training.
    """
    from transformers.masking_utils import sdpa_mask

    own = implementation(model) if hasattr(model, "set_attn_implementation") else None
    if own != "sdpa" or model.device.type != "cpu":
        yield
        return
    register(NAME, attention, sdpa_mask)
    try:
        switch(model, NAME)
    except ModelError:
        yield
        return
    Now.drop = drop
    try:
        yield
    finally:
        Now.drop = None
        switch(model, own)


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
    """Attend as SDPA does, over keys that `attention_mask` and a position bias decide on.

    Args:
        module: The attention module that calls.
        query: (B, heads, L, D).
        key: (B, heads, K, D).
        value: (B, heads, K, D).
        attention_mask: True or 0 where a query may attend, broadcasts to (B, heads, L, K); None for everywhere, or for
            the preceding tokens where the module is causal.
        dropout: Rate at which attention weights are dropped.
        scaling: Factor on the scores; 1/√D when None.
        keywords: What the model's family adds; "position_bias" is added to the scores.

    Returns:
        (B, L, heads, D), and no weights.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if key.shape[1] != query.shape[1] or (dropout == 0 and not spells_out(query, key)):
        outputs: tuple[Any, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **keywords
        )
        return outputs
    allowed = _allowed(module, query, key, attention_mask, **keywords)
    return product(query, key, value, allowed, dropout, scaling).transpose(1, 2).contiguous(), None


def _allowed(
    module: Any,
    query: Any,
    key: Any,
    attention_mask: Any,
    *,
    is_causal: bool | None = None,
    position_bias: Any = None,
    **_: Any,
) -> Any:
    """Return where queries may attend, or what is added to their scores; None if unrestricted."""
    import torch
    from transformers.integrations.sdpa_attention import create_position_bias_mask

    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = causal and query.shape[2] > 1 and attention_mask is None
    if position_bias is None:
        if not causal:
            return attention_mask
        return torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
    # one bias serves all layers of a stack, and so does its sum with the mask
    made = getattr(position_bias, "_toolkit_made", None)
    if made is None or made[0] is not attention_mask or made[1].dtype != query.dtype:
        added = create_position_bias_mask(position_bias, attention_mask, causal, query, key).to(query.dtype)
        made = position_bias._toolkit_made = (attention_mask, added)
    return made[1]
