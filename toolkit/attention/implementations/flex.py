"""Sliding windows on a GPU, by torch's FlexAttention: one kernel that skips the blocks to which no query attends.

Whether it works on a GPU is not looked up but tried, once for each kind of numbers and width of a head: where it does
not, the blocked code of `toolkit.attention.implementations.sparse` computes the same.

Source: Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention Kernels".
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from toolkit.attention import forms
from toolkit.attention.forms import SlidingWindow

_BLOCK = 128  # tokens of a block of the kernel


def suits(query: Any) -> bool:
    """Whether queries of this kind can be computed here by FlexAttention, compiled."""
    return bool(query.is_cuda) and _works(query.device.index or 0, query.dtype, query.shape[-1])


def attention(
    form: SlidingWindow, query: Any, key: Any, value: Any, real: Any, scale: float | None, kernel: Callable[..., Any]
) -> Any:
    """Compute attention in a sliding window with global first tokens.

    Args:
        form: The window.
        query: Shape (B, H, T, D).
        key: Shape (B, H, T, D).
        value: Shape (B, H, T, D).
        real: True for tokens, False for padding. Shape (B, T).
        scale: Of the scores; 1 / √D when None.
        kernel: `compiled()`, or torch's `flex_attention` itself.

    Returns:
        Shape (B, H, T, D).
    """
    radius, seers = form.window // 2, form.seers

    def allowed(batch: Any, _head: Any, query_place: Any, key_place: Any) -> Any:
        near = (query_place - key_place).abs() <= radius
        shared = (key_place < seers) | (query_place < seers)
        return ((near | shared) & real[batch, key_place]) | (query_place == key_place)

    mask = _blocks(allowed, query.shape[2], radius, seers, query.device)
    return kernel(query, key, value, block_mask=mask, scale=scale)


def _blocks(allowed: Callable[..., Any], length: int, radius: int, seers: int, device: Any) -> Any:
    """Return which blocks of keys each block of queries may attend to; `allowed` decides within them."""
    import torch
    from torch.nn.attention.flex_attention import BlockMask

    count = -(-length // _BLOCK)
    places = torch.arange(count, device=device)
    shared = places < -(-seers // _BLOCK)
    reach = -(-radius // _BLOCK)
    into = ((places[:, None] - places).abs() <= reach) | shared | shared[:, None]  # (N, N)
    numbers = into.sum(dim=-1).int()[None, None]  # (1, 1, N)
    indices = into.int().argsort(dim=-1, descending=True, stable=True).int()[None, None]  # (1, 1, N, N)
    return BlockMask.from_kv_blocks(numbers, indices, BLOCK_SIZE=_BLOCK, mask_mod=allowed, seq_lengths=(length, length))


@cache
def compiled() -> Callable[..., Any]:
    """Return torch's `flex_attention`, compiled for all lengths."""
    import torch
    from torch.nn.attention.flex_attention import flex_attention

    kernel: Callable[..., Any] = torch.compile(flex_attention, dynamic=True)
    return kernel


@cache
def _works(device: int, kind: Any, width: int) -> bool:
    """Whether the compiled kernel gives the output of the mask, and a gradient."""
    import torch

    form, length = SlidingWindow(64, 1), 300
    tensors: list[Any] = [
        torch.randn(2, 2, length, width, device=f"cuda:{device}", dtype=kind, requires_grad=True) for _ in range(3)
    ]
    query, key, value = tensors
    real = torch.arange(length, device=query.device) < torch.tensor([[length], [70]], device=query.device)
    try:
        with torch.enable_grad():
            output = attention(form, query, key, value, real, None, compiled())
            output.float().square().sum().backward()
    except Exception:  # a compiler may raise anything on a GPU that is new, old or busy
        return False
    allowed = forms.allowed(form, 0, query, key, real)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    close = ((output - expected).abs() * real[:, None, :, None]).max() < 0.05
    return bool(close) and all(bool(torch.isfinite(tensor.grad).all()) for tensor in tensors)
