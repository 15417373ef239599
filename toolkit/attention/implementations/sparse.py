"""Sparse attention at the cost of the attended keys, for unchanged pretrained models.

    queries  (B, H, T, D) → blocks          (B, N, H, b, D)
    keys     (B, H, T, D) → blocks, gathered (B, N, H, K·b + G, D)    the K blocks that each block attends to, and the
                                                                       G first tokens
    each block of queries attends to its own keys in one product: time and memory grow with T, not with T²

The form is chosen by name (`toolkit.attention.forms`); `use` gives it to a loaded model. What is computed equals
dense attention under the form's mask, and is batched so that padding changes no text's result.
"""

from typing import Any

from toolkit.attention import forms, interface
from toolkit.attention.forms import Dense, Form, Own, SlidingWindow, TopK, block_up
from toolkit.attention.implementations import flex
from toolkit.attention.implementations.sequences import Now, all_tokens, by_runs, product
from toolkit.errors import ModelError

PREFIX = "toolkit-sparse-"
_SMALLEST_BLOCK = 16

_NUMBER = "_toolkit_layer"  # of a module: which layer it is in; an attribute, so that copies of the model keep it


def use(model: Any, name: str) -> None:
    """Let a model attend in another form from now on.

    Args:
        model: A transformers encoder.
        name: As in `toolkit.attention.forms`; "dense" leaves the model as it is.

    Raises:
        ConfigError: There is no such form.
        ModelError: The model does not dispatch its attention through the interface.
    """
    chosen = forms.parse(name)
    if chosen == (Dense(),):
        return
    import torch

    for module in reversed([m for m in model.modules() if isinstance(m, torch.nn.ModuleList)]):
        for number, layer in enumerate(module):  # outer lists come last and take precedence
            for part in layer.modules():
                setattr(part, _NUMBER, number)
    registered = PREFIX + name.replace(" ", "")

    def attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **settings: Any) -> tuple[Any, None]:
        return _attend(form_for(module, chosen), module, query, key, value, mask, **settings)

    interface.register(registered, attend, _padding)
    interface.switch(model, registered)


def form_for(module: Any, chosen: tuple[Form, ...]) -> tuple[Form, int]:
    """Return the form whose turn it is in a module's layer, and the layer's number."""
    layer = getattr(module, _NUMBER, 0)
    return chosen[layer % len(chosen)], layer


def used_by(name: Any) -> tuple[Form, ...] | None:
    """Return the forms behind the name of an attention implementation, or None when it is not one of these."""
    return forms.parse(name.removeprefix(PREFIX)) if isinstance(name, str) and name.startswith(PREFIX) else None


def _padding(*_arguments: Any, **settings: Any) -> Any:
    """Pass on which tokens are real, (B, T), and never a mask of T × T."""
    from transformers.masking_utils import bidirectional_mask_function

    if settings.get("mask_function") is not bidirectional_mask_function:
        raise ModelError(
            "This model uses a custom attention mask, which a sparse form would override.",
            "Use --attention dense, or an encoder such as BERT, DistilBERT or RoBERTa.",
            id="model.attention-unsupported",
        )
    return settings.get("attention_mask")


def _attend(
    turn: tuple[Form, int],
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Compute one layer's attention, within each sequence of a packed batch; the output has shape (B, T, H, D)."""
    import torch

    if query.shape[2] != key.shape[2] or others.get("position_bias") is not None or query.shape[1] != key.shape[1]:
        raise ModelError(
            f"{type(module).__name__} does not use encoder self-attention.",
            "Use --attention dense, or an encoder such as BERT, DistilBERT or RoBERTa.",
            id="model.attention-unsupported",
        )
    rate = dropout if module.training else 0.0
    if Now.layout is not None:
        return _packed(turn, query, *all_tokens(query, key, value), scaling, rate), None
    real = mask
    if real is None:
        real = torch.ones(query.shape[0], key.shape[2], dtype=torch.bool, device=query.device)
    output = attention(turn[0], turn[1], query, key, value, real.bool(), scaling, rate)
    return output.transpose(1, 2).contiguous(), None


def _packed(turn: tuple[Form, int], query: Any, key: Any, value: Any, scale: float | None, rate: float) -> Any:
    """Attend within each sequence of a packed batch, (1, H, N, D) → (1, N, H, D); no padding, no mask of it."""
    import torch

    form, layer = turn
    first = Now.key is not None  # a trimmed layer needs each sequence's first token only
    if first and not (isinstance(form, Dense) or form.seers):
        raise NotImplementedError("a first token that does not see all")

    def attend(q: Any, k: Any, v: Any) -> Any:
        if first:
            return product(q, k, v, None, rate, scale)
        real = torch.ones(k.shape[0], k.shape[2], dtype=torch.bool, device=k.device)
        return attention(form, layer, q, k, v, real, scale, rate)

    return by_runs(query, key, value, attend)


def attention(
    form: Form, layer: int, query: Any, key: Any, value: Any, real: Any, scale: float | None = None, rate: float = 0.0
) -> Any:
    """Compute attention in one of the forms.

    Args:
        form: Which.
        layer: Number of the layer; random blocks differ between layers.
        query: Shape (B, H, T, D).
        key: Shape (B, H, T, D).
        value: Shape (B, H, T, D).
        real: True for tokens, False for padding. Shape (B, T).
        scale: Of the scores; 1 / √D when None.
        rate: Of dropout.

    Returns:
        Shape (B, H, T, D). Rows of padding hold no meaning.
    """
    if isinstance(form, Dense | TopK | Own):
        allowed = real[:, None, None, :] if isinstance(form, Dense) else forms.allowed(form, layer, query, key, real)
        return product(query, key, value, allowed, rate, scale)
    if isinstance(form, SlidingWindow):
        if rate == 0 and flex.suits(query):
            return flex.attention(form, query, key, value, real, scale, flex.compiled())
        block = max(_SMALLEST_BLOCK, min(form.window // 2, query.shape[2]))
        table, radius, shared = _neighbours(-(-query.shape[2] // block), query.device), form.window // 2, form.seers
    else:
        form = forms.within(form, query.shape[2])
        block, radius, shared = form.block, None, 0
        table = forms.blocks_seen(form, layer, query, key, real)
    shared = min(shared, query.shape[2])
    allowed = _allowed(table, block, real, radius, shared)  # (B, H or 1, N, b, K·b + G)
    output = product(
        block_up(query, block).transpose(1, 2).flatten(0, 1),  # (B·N, H, b, D)
        _gathered(key, table, block, shared),  # (B·N, H, K·b + G, D)
        _gathered(value, table, block, shared),
        allowed.transpose(1, 2).flatten(0, 1),
        rate,
        scale,
    )
    blocks = output.view(query.shape[0], -1, *output.shape[1:]).transpose(1, 2)  # (B, H, N, b, D)
    output = blocks.flatten(2, 3)[:, :, : query.shape[2]]
    return _let_first_see_all(form.seers, output, query, key, value, real, scale, rate)


def _neighbours(blocks: int, device: Any) -> Any:
    """Return each block's own number and those of its neighbours, -1 where there is none. Shape (1, 1, N, 3)."""
    import torch

    table = torch.arange(blocks, device=device)[:, None] + torch.tensor([-1, 0, 1], device=device)
    return table.masked_fill(table >= blocks, -1)[None, None]


def _gathered(heads: Any, table: Any, block: int, shared: int) -> Any:
    """Gather the keys or values that each block attends to: (B, H, T, D) → (B·N, H, K·b + G, D)."""
    import torch

    blocks = block_up(heads, block)  # (B, H, N, b, D)
    batch, count, number = blocks.shape[:3]
    wanted = table.clamp(min=0)
    if wanted.shape[:2] == (1, 1):  # the same for all
        gathered = blocks[:, :, wanted[0, 0]]  # (B, H, N, K, b, D)
    else:
        rows = torch.arange(batch, device=heads.device)[:, None, None, None]
        columns = torch.arange(count, device=heads.device)[None, :, None, None]
        gathered = blocks[rows, columns, wanted]  # (B, H, N, K, b, D)
    gathered = gathered.flatten(3, 4)  # (B, H, N, K·b, D)
    if shared:
        first = heads[:, :, None, :shared].expand(-1, -1, number, -1, -1)  # (B, H, N, G, D)
        gathered = torch.cat([gathered, first], dim=3)
    return gathered.transpose(1, 2).flatten(0, 1)


def _allowed(table: Any, block: int, real: Any, radius: int | None, shared: int) -> Any:
    """Return which of the gathered keys each query may attend to. Shape (B, H or 1, N, b, K·b + G)."""
    import torch

    device = real.device
    places = torch.arange(block, device=device)
    count = table.shape[2]
    queries = (torch.arange(count, device=device)[:, None] * block + places)[..., None]  # (N, b, 1)
    keys = (table.clamp(min=0)[..., None] * block + places).flatten(3)[:, :, :, None]  # (B or 1, H or 1, N, 1, K·b)
    there = (table >= 0).repeat_interleave(block, dim=-1)[:, :, :, None]  # (B or 1, H or 1, N, 1, K·b)
    padded = torch.nn.functional.pad(real, (0, count * block - real.shape[1]))  # (B, N·b)
    if keys.shape[0] == 1:
        token = padded[:, keys[0]]  # (B, H or 1, N, 1, K·b)
    else:
        token = padded[torch.arange(len(real), device=device)[:, None, None, None, None], keys]
    allowed = token & there
    if radius is not None:
        allowed = allowed & ((queries - keys).abs() <= radius)
    allowed = allowed | ((queries == keys) & there)
    allowed = allowed.expand(len(real), -1, -1, block, -1)
    if shared and radius is not None:
        first = torch.arange(shared, device=device)
        gathered = (table[..., None] == first // block).any(dim=3)[:, :, :, None]  # (1, 1, N, 1, G)
        already = gathered & ((queries - first).abs() <= radius)  # (1, 1, N, b, G)
        more = padded[:, None, None, None, :shared] & ~already  # (B, 1, N, b, G)
        allowed = torch.cat([allowed, more], dim=-1)
    return allowed


def _let_first_see_all(
    seers: int, output: Any, query: Any, key: Any, value: Any, real: Any, scale: float | None, rate: float
) -> Any:
    """Compute the rows of the first tokens again: they attend to every key."""
    import torch

    if not seers:
        return output
    rows = product(query[:, :, :seers], key, value, real[:, None, None, :], rate, scale)
    return torch.cat([rows, output[:, :, seers:]], dim=2)
