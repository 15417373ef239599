"""Let a Vision Transformer see another resolution than the one it was pretrained at.

Its position embeddings form a square grid of patches; the grid is interpolated (bicubic) to the new one, and what
precedes it, such as the class token's, is kept. Models whose weights do not depend on the resolution need nothing.

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", section 3.2.
"""

import copy
from collections.abc import Mapping
from typing import Any

from toolkit.errors import ConfigError, ModelError

# these cut a picture into whole patches, and would ignore the rest at its right and lower edge
_WHOLE_PATCHES = ("vit", "deit", "dinov2", "dinov2_with_registers", "beit", "vit_msn", "ijepa")


def check(config: Mapping[str, Any], size: int | None) -> None:
    """Refuse pictures of `size` pixels where the patches of a model's configuration do not cover them.

    Raises:
        ConfigError: Pixels at the edge would be ignored.
    """
    if size is None or config.get("model_type") not in _WHOLE_PATCHES or "patch_size" not in config:
        return
    patch = side(config["patch_size"])
    if size % patch:
        near = [candidate for candidate in (size - size % patch, size - size % patch + patch) if candidate]
        raise ConfigError(
            f"`options.image_size` is {size}, and the model cuts pictures into patches of {patch} pixels: "
            f"{size % patch} at the edge would be ignored.",
            f"Use {' or '.join(f'--image-size {candidate}' for candidate in near)}.",
            id="config.image-size",
        )


def see(model: Any, size: int) -> Any:
    """Return the model for square pictures of `size` pixels; its weights are those of the given one.

    Args:
        model: A transformers model for pictures.
        size: Height and width, in pixels.

    Raises:
        ModelError: The weights depend on the resolution in a way that cannot be interpolated.
    """
    before = getattr(model.config, "image_size", None)
    if before is None or side(before) == size:
        return model
    config = copy.deepcopy(model.config)
    config.image_size = size
    wanted = type(model)(config)
    state = model.state_dict()
    for name, tensor in wanted.state_dict().items():
        if state[name].shape != tensor.shape:
            state[name] = interpolated(state[name], tensor.shape, side(config.patch_size), side(before), size)
            if state[name].shape != tensor.shape:
                raise ModelError(
                    f"{type(model).__name__} does not support pictures of {size} pixels: its `{name}` is made for "
                    f"{side(before)}.",
                    "Leave `options.image_size` out, or use a model such as vit, deit, dinov2 or swin.",
                    id="model.image-size-fixed",
                )
    wanted.load_state_dict(state)
    return wanted.train(model.training)


def side(size: Any) -> int:
    """Return one number for a size that a configuration gives as one or as two."""
    return int(size[0]) if isinstance(size, list | tuple) else int(size)


def interpolated(positions: Any, shape: Any, patch: int, before: int, after: int) -> Any:
    """Return position embeddings for another grid of patches; other tensors are returned unchanged.

    Args:
        positions: Those of the tokens before the grid, then of the grid's rows. Shape (1, P + G², E).
        shape: The wanted shape, (1, P + G'², E).
        patch: Pixels along the side of a patch.
        before: Pixels along the side of a picture that `positions` are for.
        after: The same for the wanted ones.
    """
    import torch

    old, new = before // patch, after // patch
    count = positions.shape[1] - old * old if positions.ndim == 3 else -1
    if count < 0 or tuple(shape) != (1, count + new * new, positions.shape[2]):
        return positions
    head, grid = positions[:, :count], positions[:, count:]
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)  # (1, E, G, G)
    grid = torch.nn.functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    return torch.cat([head, grid.permute(0, 2, 3, 1).reshape(1, new * new, -1)], dim=1)
