"""Tables to model inputs, taken from the user's cache where an earlier run made the same."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import __version__, environment, recipes, runs
from toolkit.config import RunConfig
from toolkit.data import batch, cache
from toolkit.data.batch import Columns, Features, encode_chunks
from toolkit.data.digest import table_digest
from toolkit.pipeline import judge
from toolkit.pipeline.events import Note, Observe

_PACKAGES = ("numpy", "pillow", "tokenizers", "transformers")  # what tokenizes or cuts


def encode_parts(
    parts: Sequence[pa.Table], recipe: recipes.Recipe, processor: Any, config: RunConfig, observe: Observe
) -> list[Features]:
    """Return the model inputs of some tables; what an earlier run made of the same is used again.

    Args:
        parts: Tables in the recipe's roles.
        recipe: The task.
        processor: As it was loaded: nothing was tokenized with it yet.
        config: The run's configuration; `data.cache_gib` bounds the cache.
        observe: Told when all of it was there.
    """
    if not config.data.cache_gib:
        return [judge.encode_rows(rows, recipe, processor, config) for rows in parts]
    folder = environment.cache_folder() / "features"
    makers = [_processor_digest(processor), *_maker_facts(recipe)]
    found = []
    for rows in parts:
        inputs = judge.input_columns(rows, recipe)

        def encode(watched: Any, inputs: pa.Table = inputs) -> Iterator[Columns]:
            return encode_chunks(inputs, lambda chunk: recipe.preprocess(chunk, processor, watched))

        made_of = json.dumps([table_digest(inputs, inputs.column_names), *makers])
        identity = hashlib.sha256(made_of.encode()).hexdigest()
        found.append(cache.remembered(folder, identity, config, encode, int(config.data.cache_gib * 2**30)))
    if all(known for _, known in found):
        observe(Note("Tokenized data of an earlier run is used."))
    return [features for features, _ in found]


def _processor_digest(processor: Any) -> str:
    """Return a digest of a tokenizer or image processor as it would be saved."""
    with tempfile.TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        named = [(path.relative_to(folder).as_posix(), runs.digest(path)) for path in files]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _maker_facts(recipe: recipes.Recipe) -> list[Any]:
    """Return what else decides the inputs: the code and the libraries."""
    code = [runs.digest(Path(str(file))) for file in (recipe.__file__, batch.__file__, cache.__file__)]
    return [*code, __version__, *(environment.version(package) for package in _PACKAGES)]
