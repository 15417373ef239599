"""Forms of attention: which keys each query may attend to.

    dense                      all of them
    sliding-window:W[:G]       those within W / 2 tokens; the first G tokens attend to all, and all to them (Longformer)
    block-sparse:B[:R]         blocks of B tokens: the neighbours, the first block, R drawn at random (BigBird)
    top-k:K                    for each query the K keys with the best scores: chosen from the data, at dense cost
    top-blocks:B:K             for each block of B queries the K blocks of keys whose means fit best
    NAME[:N …]                 a function of one's own: see `Own`
    FORM+FORM                  layers alternate: sliding-window:128+dense is local in layers 1, 3, 5 …

Here a form is a mask: what it means, at dense cost. `toolkit.attention.implementations.sparse` computes the same at the
cost of what is looked at. Padding is never looked at, and a token may always look at itself.

Sources: Beltagy et al. 2020, "Longformer", section 3.1; Zaheer et al. 2020, "Big Bird", section 2; Gupta et al. 2021,
"Memory-efficient Transformers via Top-k Attention"; Lu et al. 2025, "MoBA", section 2.2, for blocks chosen by their
means.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from toolkit.choices import ATTENTION_FORMS, OWN_ATTENTION
from toolkit.config.own_parts import installed
from toolkit.errors import ConfigError, RecipeError


@dataclass(frozen=True)
class Dense:
    """Every query attends to every key."""

    @property
    def seers(self) -> int:
        """How many first tokens attend to all keys."""
        return 0


@dataclass(frozen=True)
class SlidingWindow:
    """Each query attends to its neighbours; the first tokens attend to all and are attended to by all.

    Attributes:
        window: Width, the query in its middle.
        seers: How many first tokens attend to all keys, and are attended to by all queries.
    """

    window: int
    seers: int = 1


@dataclass(frozen=True)
class BlockSparse:
    """Each block of queries attends to its neighbours, the first block and some random blocks.

    Attributes:
        block: Tokens in a block.
        random: Random blocks for each block of queries, the same ones in every batch.
    """

    block: int
    random: int = 3

    @property
    def seers(self) -> int:
        """The first block attends to all keys."""
        return self.block


@dataclass(frozen=True)
class TopK:
    """Each query attends to the keys with the best scores.

    Attributes:
        count: How many.
    """

    count: int

    @property
    def seers(self) -> int:
        """How many first tokens attend to all keys."""
        return 0


@dataclass(frozen=True)
class TopBlocks:
    """Each block of queries attends to the blocks of keys whose means fit its own mean best.

    Its own block and the first are always among them; the first token attends to all keys.

    Attributes:
        block: Tokens in a block.
        count: Blocks attended to.
    """

    block: int
    count: int

    @property
    def seers(self) -> int:
        """How many first tokens attend to all keys."""
        return 1


@dataclass(frozen=True)
class Own:
    """A form of one's own, at dense cost.

    Attributes:
        name: Its name.
        mask: (layer, query, key, real, numbers …) → which keys each query attends to, True or False; shapes as of
            `allowed`.
        numbers: Those behind its name.
    """

    name: str
    mask: Callable[..., Any]
    numbers: tuple[int, ...] = ()

    @property
    def seers(self) -> int:
        """How many first tokens attend to all keys."""
        return 0


Form = Dense | SlidingWindow | BlockSparse | TopK | TopBlocks | Own

_MADE: Mapping[str, Callable[..., Form]] = {
    "dense": Dense,
    "sliding-window": SlidingWindow,
    "block-sparse": BlockSparse,
    "top-k": TopK,
    "top-blocks": TopBlocks,
}


def known() -> list[str]:
    """Return the names of all forms: those of the toolkit, of installed packages, and of this command line."""
    return list(dict.fromkeys([*ATTENTION_FORMS, *installed("attention"), *OWN_ATTENTION]))


def _own(name: str) -> Callable[..., Any] | None:
    """Return the function of a form that the command line or an installed package names."""
    points = installed("attention")
    if name in OWN_ATTENTION or name not in points:
        return OWN_ATTENTION.get(name)
    try:
        mask: Callable[..., Any] = points[name].load()
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"The form of attention {name} of an installed package cannot be imported: {error}.",
            "Install the package again.",
            id="recipe.own-part",
        ) from error
    return mask


def parse(text: str) -> tuple[Form, ...]:
    """Read forms as they are written in the configuration; layers alternate between them.

    Raises:
        ConfigError: It is none of the forms.
    """
    return tuple(_parse(part.strip()) for part in text.split("+"))


def _parse(text: str) -> Form:
    name, *numbers = text.split(":")
    if name not in ATTENTION_FORMS:
        own = _own(name)
        if own is None or not all(number.isdecimal() for number in numbers):
            raise ConfigError(
                f"Unknown attention form `{text}`.",
                f"Forms: {', '.join(known())}; FORM+FORM alternates by layer. Name a function of your own "
                "as --attention FILE.py:NAME, or for a model trained with it as --set 'own.attention=[FILE.py:NAME]'.",
                id="config.unknown-choice",
            )
        return Own(name, own, tuple(map(int, numbers)))
    needed, least = ATTENTION_FORMS[name]
    fits = needed <= len(numbers) <= len(least) and all(number.isdecimal() for number in numbers)
    if not fits or any(int(number) < low for number, low in zip(numbers, least, strict=False)):
        raise ConfigError(
            f"The attention `{text}` lacks its numbers, or has wrong ones.",
            "Examples: dense, sliding-window:256, sliding-window:256:1, block-sparse:64:3, top-k:32 or "
            "top-blocks:64:4.",
            id="config.malformed-value",
        )
    return _MADE[name](*map(int, numbers))


def allowed(form: Form, layer: int, query: Any, key: Any, real: Any) -> Any:
    """Return the form as a mask.

    Args:
        form: Which.
        layer: Number of the layer; random blocks differ between layers.
        query: Shape (B, H, T, D).
        key: Shape (B, H, T, D).
        real: True for tokens, False for padding. Shape (B, T).

    Returns:
        Boolean, True where a query may attend. Broadcasts to (B, H, T, T).
    """
    import torch

    length = query.shape[2]
    places = torch.arange(length, device=query.device)
    itself = places[:, None] == places  # (T, T)
    keys = real[:, None, None, :]  # (B, 1, 1, T)
    if isinstance(form, Dense):
        return keys | itself
    if isinstance(form, SlidingWindow):
        near = (places[:, None] - places).abs() <= form.window // 2  # (T, T)
        mask = near | (places < form.seers) | (places[:, None] < form.seers)
    elif isinstance(form, Own):
        mask = _own_mask(form, layer, query, key, real)
    elif isinstance(form, TopK):
        scores = (query @ key.mT).masked_fill(~keys, -torch.inf)  # (B, H, T, T)
        best = scores.topk(min(form.count, length), dim=-1).indices  # (B, H, T, K)
        mask = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, best, value=True)
    else:
        form = within(form, length)
        table = blocks_seen(form, layer, query, key, real)  # (B, H or 1, blocks, K)
        count = table.shape[2]
        seen = (table[..., None] == torch.arange(count, device=query.device)).any(dim=-2)  # (B, H or 1, blocks, blocks)
        of = places // form.block
        mask = seen[:, :, of][..., of] | (places[:, None] < form.seers)
    return (mask & keys) | itself


def _own_mask(form: Own, layer: int, query: Any, key: Any, real: Any) -> Any:
    """Return the mask of a form of one's own.

    Raises:
        RecipeError: It is none.
    """
    mask = form.mask(layer, query, key, real, *form.numbers)
    whole = (*query.shape[:2], query.shape[2], key.shape[2])
    kind = str(getattr(mask, "dtype", type(mask).__name__))
    shape = tuple(getattr(mask, "shape", ()))
    fits = len(shape) <= 4 and all(
        size in (1, wanted) for size, wanted in zip(reversed(shape), reversed(whole), strict=False)
    )
    if kind != "torch.bool" or not fits:
        raise RecipeError(
            f"The form of attention {form.name} returned {kind} of shape {shape}, where scores have {whole}.",
            "Return a boolean tensor that can be broadcast to (B, H, T, T).",
            id="recipe.own-part",
        )
    return mask


def within(form: BlockSparse | TopBlocks, length: int) -> BlockSparse | TopBlocks:
    """Return a form that sees the same in `length` tokens with blocks no larger: all of a block is held in memory."""
    if isinstance(form, BlockSparse):
        return BlockSparse(min(form.block, length), min(form.random, length))
    return TopBlocks(min(form.block, length), min(form.count, length))


def blocks_seen(form: BlockSparse | TopBlocks, layer: int, query: Any, key: Any, real: Any) -> Any:
    """Return the blocks of keys that each block of queries attends to; -1 means none.

    Args:
        form: Which.
        layer: Number of the layer.
        query: Shape (B, H, T, D).
        key: Shape (B, H, T, D).
        real: Shape (B, T).

    Returns:
        Shape (B, H or 1, blocks, K).
    """
    if isinstance(form, BlockSparse):
        return _drawn(form, layer, real)
    return _fitting(form, query, key, real)


def _drawn(form: BlockSparse, layer: int, real: Any) -> Any:
    """Select each text's blocks by its own length, so that its padding changes nothing."""
    import torch

    count = -(-real.shape[1] // form.block)
    places = torch.arange(1, real.shape[1] + 1, device=real.device)
    lengths = (real * places).amax(dim=1).tolist()
    tables = [_random_blocks(form.random, layer, max(1, -(-length // form.block))) for length in lengths]
    whole = np.full((len(tables), count, 4 + form.random), -1, np.int64)
    whole[:, :, 0] = np.arange(count)  # padding attends to itself
    for row, table in zip(whole, tables, strict=True):
        row[: len(table)] = table
    return torch.from_numpy(whole).to(real.device)[:, None]


@cache
def _random_blocks(random: int, layer: int, count: int) -> np.ndarray[Any, Any]:
    """Return for each of `count` blocks itself, its neighbours, the first and random others. Shape (count, K)."""
    draw = np.random.default_rng([layer, count])
    table = np.full((count, 4 + random), -1, np.int64)
    for block in range(count):
        sure = dict.fromkeys(b for b in (block, block - 1, block + 1, 0) if 0 <= b < count)
        others = [b for b in range(count) if b not in sure]
        chosen = [*sure, *draw.permutation(others)[:random].tolist()]
        table[block, : len(chosen)] = chosen
    return table


def _fitting(form: TopBlocks, query: Any, key: Any, real: Any) -> Any:
    import torch

    whole = real.float()[:, None, :, None]  # (B, 1, T, 1)
    empty = block_up(whole, form.block).sum(dim=3) == 0  # (B, 1, blocks, 1)
    size = block_up(whole, form.block).sum(dim=3).clamp(min=1)

    def means(heads: Any) -> Any:
        return block_up(heads * whole.to(heads.dtype), form.block).sum(dim=3) / size  # (B, H, blocks, D)

    fit = (means(query) @ means(key).mT).masked_fill(empty.mT, -torch.inf)  # (B, H, blocks, blocks)
    own = torch.eye(fit.shape[-1], dtype=torch.bool, device=fit.device)
    own[:, 0] = True
    best = fit.masked_fill(own, torch.inf).topk(min(form.count, fit.shape[-1]), dim=-1)
    return best.indices.masked_fill(best.values == -torch.inf, -1)


def block_up(rows: Any, block: int) -> Any:
    """Cut the tokens into blocks, the last filled with zeros. Shapes (B, H, T, D) → (B, H, blocks, block, D)."""
    import torch

    batch, heads, length, width = rows.shape
    filled = torch.nn.functional.pad(rows, (0, 0, 0, -length % block))
    return filled.view(batch, heads, -1, block, width)
