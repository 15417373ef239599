"""Tables to model inputs, read from the user's cache where an earlier run prepared the same."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import __version__, environment, runs
from toolkit.config import RunConfig
from toolkit.data.batching import batch, cache, vocabulary
from toolkit.data.batching.batch import Columns, Features, encode_chunks, join
from toolkit.data.images import image_columns, image_decoding, pixels
from toolkit.data.tables.digest import table_digest
from toolkit.events import Note, Observe
from toolkit.inference.encode import input_columns
from toolkit.tasks.contract import Recipe, Rows
from toolkit.training.acceleration.frozen_features import FrozenBackbone

_PACKAGES = ("numpy", "pillow", "tokenizers", "transformers")  # what tokenizes or crops


def encode_parts(
    parts: Sequence[pa.Table],
    recipe: Recipe,
    labels: Sequence[str],
    processor: Any,
    config: RunConfig,
    observe: Observe,
) -> list[Features]:
    """Return the model inputs of some tables; those of an earlier run are used again.

    Args:
        parts: Tables in the recipe's roles.
        recipe: The task.
        labels: Names of the classes.
        processor: As it was loaded: nothing was tokenized with it yet.
        config: The run's configuration; `data.cache_gib` bounds the cache.
        observe: Called with a note when all inputs came from the cache.
    """

    def preprocess(chunk: Mapping[str, Sequence[Any]], watched: Any = config) -> dict[str, Any]:
        return recipe.features(Rows(chunk, labels), processor, watched)

    if not config.data.cache_gib:
        return [batch.encode(input_columns(rows, recipe), preprocess) for rows in parts]
    folder = environment.cache_folder() / "features"
    makers = [_processor_digest(processor), *_maker_facts(recipe, labels)]  # before the processor is changed
    encoded = []
    for rows in parts:
        inputs = input_columns(rows, recipe)

        def encode(watched: Any, inputs: pa.Table = inputs) -> Iterator[Columns]:
            return encode_chunks(inputs, lambda chunk: preprocess(chunk, watched))

        identity = _identity(inputs, makers)
        encoded.append(cache.remembered(folder, identity, config, encode, int(config.data.cache_gib * 2**30)))
    if all(known for _, known in encoded):
        observe(Note("Using model inputs that an earlier run prepared."))
    return [features for features, _ in encoded]


def _identity(inputs: pa.Table, makers: Sequence[Any]) -> str:
    """Identify everything that determines the model inputs, apart from the configuration."""
    return hashlib.sha256(json.dumps([table_digest(inputs, inputs.column_names), *makers]).encode()).hexdigest()


def through_backbone(
    below: FrozenBackbone,
    parts: Sequence[tuple[pa.Table, Features]],
    recipe: Recipe,
    labels: Sequence[str],
    processor: Any,
    config: RunConfig,
    accelerator: Any,
    precision: str,
) -> list[Features]:
    """Return the features of a frozen backbone for some tables; those of an earlier run are reused.

    Args:
        below: The backbone, on its device.
        parts: Tables with their model inputs.
        recipe: The task.
        labels: Names of the classes.
        processor: What made the inputs.
        config: The run's configuration; `data.cache_gib` bounds the cache.
        accelerator: Computes in the run's precision.
        precision: Its name.
    """
    collate = partial(recipe.collate, processor=processor)
    makers = [_processor_digest(processor), *_maker_facts(recipe, labels)]
    makers += [below.digest(), precision, below.model.device.type]
    encoded = []
    for rows, features in parts:

        def encode(watched: Any, features: Features = features) -> Iterator[Columns]:
            return below.features(features, collate, watched.evaluation.batch_size, accelerator.autocast)

        if config.data.cache_gib:
            folder, most = environment.cache_folder() / "features", int(config.data.cache_gib * 2**30)
            identity = _identity(input_columns(rows, recipe), makers)
            encoded.append(cache.remembered(folder, identity, config, encode, most)[0])
        else:
            encoded.append(join(encode(config)))
    return encoded


def remarks(recipe: Recipe, rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Return notes on the training rows before training: how well they are tokenized, and the recipe's remarks.

    Args:
        recipe: The task.
        rows: The training rows, in its roles.
        processor: Its tokenizer or image processor.
        config: The run's configuration.
    """
    unread = vocabulary.unread_rows(rows, recipe.columns, processor)
    return [*([unread] if unread else []), *recipe.remarks(rows, processor, config)]


def stage_of(recipe: Recipe) -> str:
    """Name the steps of preprocessing."""
    preparing: str = recipe.task.inputs[0].kind.preparing
    return preparing


def _processor_digest(processor: Any) -> str:
    """Return a digest of a tokenizer or image processor as it would be saved."""
    with tempfile.TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        named = [(path.relative_to(folder).as_posix(), runs.digest(path)) for path in files]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _maker_facts(recipe: Recipe, labels: Sequence[str]) -> list[Any]:
    """Return what else determines the inputs: the classes, the code and the libraries."""
    makers = (recipe.file, *(module.__file__ for module in (batch, cache, image_columns, image_decoding, pixels)))
    code = [runs.digest(Path(str(file))) for file in makers]
    return [list(labels), *code, __version__, *(environment.version(package) for package in _PACKAGES)]
