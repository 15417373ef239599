"""What is measured of a model and of its export: the size of its weights, and its speed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.data.batching.batch import Features
from toolkit.evaluation.checks import cost
from toolkit.exporting import schema
from toolkit.inference.model import LoadedModel

_WEIGHTS = (".safetensors", ".bin", ".onnx", ".onnx_data", ".pt2")


def size_on_disk(folder: Path) -> int:
    """Return the bytes of the weights in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.name.endswith(_WEIGHTS))


def threads() -> int:
    """Return how many threads a forward pass has."""
    import torch

    return torch.get_num_threads()


def inputs(subject: LoadedModel, features: Features) -> Features:
    """Return what a graph takes: what the recipe puts into a batch, without labels."""
    batch = subject.recipe.collate([features[0]], subject.processor)
    for name in features.columns:
        if name == "labels" or name not in batch:
            features = features.without(name)
    return features


def speed(subject: LoadedModel, features: Features) -> schema.Speed | None:
    """Time one example of median length, and a batch of such; None where texts are generated."""
    import torch

    if subject.recipe.generate is not None:
        return None
    features = inputs(subject, features)
    order = np.argsort(features.lengths, kind="stable")
    size = min(len(order), subject.config.evaluation.batch_size)
    start = (len(order) - size) // 2

    def timed(rows: Sequence[int]) -> float:
        batch = subject.recipe.collate([features[row] for row in rows], subject.processor)
        with torch.inference_mode():
            return float(np.median(cost.measure(lambda: subject.model(**batch)).seconds))

    alone = timed([int(order[len(order) // 2])])
    together = timed([int(row) for row in order[start : start + size]])
    return schema.Speed(one_ms=1000 * alone, batch_size=size, examples_per_second=size / together)
