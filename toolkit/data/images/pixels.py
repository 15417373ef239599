"""Pictures as model inputs: bytes until they reach the device, normalised numbers there.

Resized pictures are stored and moved as bytes, a quarter of the size of floats. The processor's next steps,
rescaling and normalising, is done on the model's own device, just before its first layer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.data.images import image_columns, image_decoding
from toolkit.errors import DataError

_LONGEST = 10  # of a longer picture, only the middle is used, at this ratio of its sides


def prepared(rows: Sequence[Mapping[str, Any]], processor: Any, most_pixels: int) -> image_decoding.Pixels:
    """Decode pictures, and resize and crop them as the processor does. Shape (N, 3, H, W).

    Args:
        rows: Validated pictures.
        processor: An image processor of transformers.
        most_pixels: That a picture may have.

    Raises:
        DataError: A picture has changed since it was validated.
    """

    def some(group: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        images = [_middle(_decoded(row, most_pixels)) for row in group]
        made = processor(images, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"]
        return [pixels.astype(np.uint8, copy=False) for pixels in made]

    sizes = [(row.get("width") or 0) * (row.get("height") or 0) for row in rows]
    return np.stack(image_decoding.in_groups(rows, some, sizes))


def _decoded(row: Mapping[str, Any], most_pixels: int) -> Any:
    try:
        return image_decoding.decode(row, most_pixels)
    except image_decoding.UnreadableError as error:
        raise DataError(
            f"The picture {image_columns.name(row)} {error}; it was readable when it was validated.",
            "Do not change files while a command runs. Start it again.",
            id="media.changed",
        ) from None


def _middle(image: Any) -> Any:
    """Cut off the ends of a picture that is many times longer than wide: resized, it would fill the memory."""
    longest = _LONGEST * min(image.size)
    if max(image.size) <= longest:
        return image
    width, height = (min(side, longest) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def normalised(pixels: Any, processor: Any) -> Any:
    """Rescale bytes and normalise the channels as the processor would, on the device where they are. (B, 3, H, W)."""
    import torch

    values = pixels.float()
    if getattr(processor, "do_rescale", True):
        values = values * processor.rescale_factor
    if not getattr(processor, "do_normalize", False) or processor.image_mean is None:
        return values
    mean = torch.tensor(processor.image_mean, device=values.device).view(1, -1, 1, 1)
    deviation = torch.tensor(processor.image_std, device=values.device).view(1, -1, 1, 1)
    return (values - mean) / deviation


def take_bytes(model: Any, processor: Any) -> Any:
    """Let a model accept pictures as bytes, too; floats pass unchanged. The change is not saved."""
    import torch

    def before(_model: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        pixels = keywords.get("pixel_values")
        if pixels is None or pixels.dtype != torch.uint8:
            return None
        return arguments, {**keywords, "pixel_values": normalised(pixels, processor)}

    model.register_forward_pre_hook(before, with_kwargs=True)
    return model


def shown(pixels: Any, processor: Any) -> image_decoding.Pixels:
    """Turn pictures as a model gets them back into RGB bytes to look at. (B, 3, H, W) → (B, H, W, 3)."""
    import torch

    if pixels.dtype != torch.uint8:
        black, white = (normalised(torch.full((1, 3, 1, 1), value), processor) for value in (0, 255))
        pixels = ((pixels.cpu() - black) / (white - black) * 255).round().clamp(0, 255).to(torch.uint8)
    image: image_decoding.Pixels = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return image[..., ::-1] if getattr(processor, "do_flip_channel_order", False) else image
