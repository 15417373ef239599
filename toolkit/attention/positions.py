"""Let a model with learned positions read further than it was pretrained for.

    repeat        the table is repeated until it is long enough: every token has the neighbouring positions that it
                  was trained with, and short texts are read as before
    interpolate   the table is stretched: positions are distinct over the whole text, but neighbours differ less

Sources: Beltagy et al. 2020, "Longformer", section 5: "copying the 512 position embeddings from RoBERTa multiple
times"; Chen et al. 2023, "Extending Context Window of Large Language Models via Positional Interpolation", section 2.3,
here for a table.
"""

from typing import Any, Literal

from toolkit.errors import ModelError

Method = Literal["repeat", "interpolate"]


def extend(model: Any, length: int, method: Method = "repeat") -> None:
    """Lengthen the model's table of positions so that it reaches `length` tokens.

    Tables are recognized by their size, the configuration's `max_position_embeddings`, and not by a name; buffers that
    count or mark positions grow with them.

    Args:
        model: A transformers model; changed in place, its configuration too.
        length: Tokens of the longest text.
        method: How.

    Raises:
        ModelError: There is no such table.
    """
    import torch

    before = getattr(model.config, "max_position_embeddings", None)
    words = model.get_input_embeddings()
    tables = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding) and module.num_embeddings == before and module is not words
    ]
    if not tables or not isinstance(before, int):
        raise ModelError(
            f"{type(model).__name__} has no table of positions that can be extended.",
            "Lower --max-length to its limit, or use a model such as BERT, DistilBERT or RoBERTa.",
            id="model.positions-fixed",
        )
    spare = max(0 if table.padding_idx is None else table.padding_idx + 1 for table in tables)  # RoBERTa counts from 2
    after = spare + length
    for table in tables:
        longer = _longer(table.weight.detach(), spare, after, method)
        table.weight = torch.nn.Parameter(longer, requires_grad=table.weight.requires_grad)
        table.num_embeddings = after
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.shape == (1, before) and not buffer.is_floating_point():
                module.register_buffer(name, _grown(buffer, after), persistent=name in module.state_dict())
    model.config.max_position_embeddings = after


def _longer(rows: Any, spare: int, length: int, method: Method) -> Any:
    """Keep the first `spare` rows and repeat or stretch the others: (before, E) → (length, E)."""
    import torch

    head, body, wanted = rows[:spare], rows[spare:], length - spare
    if method == "interpolate":
        stretched = torch.nn.functional.interpolate(body.T[None], size=wanted, mode="linear", align_corners=True)
        return torch.cat([head, stretched[0].T])
    times = -(-wanted // len(body))
    return torch.cat([head, body.repeat(times, 1)[:wanted]]).clone()


def _grown(buffer: Any, length: int) -> Any:
    """Grow a buffer of numbers 0, 1, 2, … or of one number."""
    import torch

    if torch.equal(buffer[0], torch.arange(buffer.shape[1], device=buffer.device)):
        return torch.arange(length, device=buffer.device)[None].to(buffer.dtype)
    return buffer[:, :1].expand(1, length).clone()
