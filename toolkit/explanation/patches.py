"""A picture as its patches, which correspond to the words of a text.

A patch is removed by setting it to the picture's mean colour. Patches are the model's own where its attention is over
the whole picture, so that attention can be laid over it; elsewhere (windows, convolutions) they are squares of a
grid, for the methods that need no attention.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from toolkit.attention.record import recording
from toolkit.errors import ModelError
from toolkit.explanation import integration
from toolkit.explanation.question import Model
from toolkit.explanation.words import Floats

GRID = 8  # patches a side where the model has none of its own; also the blocks a side that are left out one by one
_MOST_SPECIAL = 16  # class and register tokens in front of a picture's patches

Grid = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """One picture, ready for the model, and its patches. It has the interface of `words.Example`.

    Attributes:
        name: As displayed.
        pixels: As cropped by the model's processor. Bytes of shape (3, H, W).
        grid: Rows and columns of patches; W = rows × columns of them, row by row.
        leading: Tokens in front of those of the patches.
    """

    name: str
    pixels: np.ndarray[Any, Any]
    grid: Grid
    leading: int = 0

    @property
    def texts(self) -> tuple[str, ...]:
        """Heading of the explanation."""
        return (self.name,)

    @property
    def words(self) -> tuple[str, ...]:
        """Name of each patch."""
        rows, columns = self.grid
        return tuple(f"row {row + 1}, column {column + 1}" for row in range(rows) for column in range(columns))

    @property
    def tokens(self) -> tuple[str, ...]:
        """Name of each token of the model."""
        return tuple(f"token {number + 1}" for number in range(self.leading)) + self.words

    @property
    def special(self) -> tuple[int, ...]:
        """Places of the tokens that belong to no patch, such as the class token."""
        return tuple(range(self.leading))

    @property
    def features(self) -> dict[str, Any]:
        """Model inputs of the whole picture."""
        return {"pixel_values": self.pixels}

    @cached_property
    def places(self) -> np.ndarray[Any, Any]:
        """Number of the patch that each pixel lies in. Shape (H, W)."""
        (rows, columns), (height, width) = self.grid, self.pixels.shape[1:]
        down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
        return np.asarray(down[:, None] * columns + across[None, :])

    @cached_property
    def mean(self) -> np.ndarray[Any, Any]:
        """The picture's mean colour. Shape (3, 1, 1)."""
        return np.asarray(self.pixels.mean(axis=(1, 2), keepdims=True).round().astype(np.uint8))

    def keep(self, words: Iterable[int]) -> dict[str, Any]:
        """Return model inputs of the picture with these of its patches; the others have its mean colour."""
        kept = np.zeros(len(self.words), bool)
        kept[list(words)] = True
        return {"pixel_values": np.where(kept[self.places][None], self.pixels, self.mean)}

    def by_word(self, scores: Floats) -> Floats:
        """Return the scores of the patches' tokens. Shapes (T,) → (W,)."""
        return scores[self.leading :]

    def by_pixel(self, scores: Floats) -> Floats:
        """Sum the scores of each patch's pixels. Shapes (H, W) → (W,)."""
        return np.asarray(np.bincount(self.places.ravel(), scores.ravel(), len(self.words)), np.float64)

    def blocks(self) -> list[list[int]]:
        """Return patches in neighbouring groups, at most `GRID` × `GRID` of them."""
        rows, columns = self.grid
        places = np.arange(rows * columns).reshape(rows, columns)
        tall, wide = -(-rows // GRID), -(-columns // GRID)
        return [
            places[row : row + tall, column : column + wide].ravel().tolist()
            for row in range(0, rows, tall)
            for column in range(0, columns, wide)
        ]


def layout(model: Model, pixels: np.ndarray[Any, Any]) -> tuple[Grid, int] | None:
    """Find how the model's tokens lie on a picture, by recording its attention once.

    Args:
        model: The classifier.
        pixels: One picture. Shape (3, H, W).

    Returns:
        The grid and the number of tokens in front of it; None where attention is not over the whole picture.
    """
    import torch

    try:
        with torch.inference_mode(), recording(model.network) as records:
            model.network(**model.batch([{"pixel_values": pixels}]))
    except ModelError:
        return None
    shapes = {(record.weights.shape[0], *record.weights.shape[2:]) for record in records}
    if len(shapes) != 1:
        return None
    ((pictures, queries, keys),) = shapes
    if pictures != 1 or queries != keys:
        return None
    return fitting(queries, pixels.shape[1], pixels.shape[2])


def fitting(tokens: int, height: int, width: int) -> tuple[Grid, int] | None:
    """Return the square patches that make so many tokens of a picture, with the fewest tokens in front of them."""
    grids = {
        rows * columns: (rows, columns)
        for side in range(1, min(height, width) + 1)
        if (rows := height // side) and (columns := width // side) and height % side == width % side == 0
    }
    for leading in range(_MOST_SPECIAL + 1):
        if tokens - leading in grids and tokens - leading > 1:
            return grids[tokens - leading], leading
    return None


def leave_blocks_out(model: Model, picture: Picture, target: int) -> Floats:
    """Return by how much the score falls when each block of patches is hidden. Shape (W,).

    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2 (occlusion).
    """
    everything, blocks = range(len(picture.words)), picture.blocks()
    variants = [picture.features, *(picture.keep(set(everything) - set(block)) for block in blocks)]
    odds = model.scores(variants, target)  # (1 + blocks,)
    scores = np.zeros(len(picture.words))
    for block, fall in zip(blocks, odds[0] - odds[1:], strict=True):
        scores[block] = fall / len(block)
    return scores


def gradient_input(model: Model, picture: Picture, batch: Mapping[str, Any], target: int) -> Floats:
    """Return gradient times how far each pixel is from the mean colour, summed over each patch. Shape (W,)."""
    import torch

    pixels = batch["pixel_values"].clone().requires_grad_()
    with torch.enable_grad():
        odds = model.outcome.score(model.network(pixel_values=pixels).logits, target)
    (gradient,) = torch.autograd.grad(odds.sum(), pixels)
    return _by_patch(picture, gradient * (pixels - _empty(model, picture)))


def integrated_gradients(model: Model, picture: Picture, batch: Mapping[str, Any], target: int) -> tuple[Floats, float]:
    """Return gradients summed along the straight path from the mean colour, by captum.

    Returns:
        The scores, shape (W,), and their completeness error.
    """
    from captum.attr import IntegratedGradients

    def odds(pixels: Any) -> Any:
        return model.outcome.score(model.network(pixel_values=pixels).logits, target)

    method, empty = IntegratedGradients(odds), _empty(model, picture)

    def attribute(steps: int) -> tuple[Any, Any]:
        return method.attribute(  # type: ignore[no-any-return]
            batch["pixel_values"],
            baselines=empty,
            n_steps=steps,
            internal_batch_size=integration.TOGETHER,
            return_convergence_delta=True,
        )

    pixels, error = integration.converged(attribute)
    return _by_patch(picture, pixels), error


def _empty(model: Model, picture: Picture) -> Any:
    return model.batch([picture.keep(())])["pixel_values"]


def _by_patch(picture: Picture, values: Any) -> Floats:
    """Sum over channels and each patch's pixels. Shapes (1, 3, H, W) → (W,)."""
    return picture.by_pixel(values[0].detach().double().sum(dim=0).cpu().numpy())


def hit(scores: Sequence[float] | Floats, grid: Grid, box: Sequence[float]) -> bool:
    """Whether the middle of the top patch lies in a box: one round of the pointing game.

    Source: Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop", section 4.1.

    Args:
        scores: Of each patch.
        grid: Rows and columns of patches.
        box: Left, top, right and bottom, as shares of the width and height.
    """
    row, column = divmod(int(np.argmax(scores)), grid[1])
    across, down = (column + 0.5) / grid[1], (row + 0.5) / grid[0]
    return bool(box[0] <= across <= box[2] and box[1] <= down <= box[3])
