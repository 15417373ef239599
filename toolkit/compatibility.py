"""What a saved checkpoint must say so that other programs, and transformers 4.x, read it as it was trained.

config.json: transformers 5 states `tie_word_embeddings: true` for the whole T5 family and goes by the weights. Other
programs go by the statement, and drop an output layer that is not the table of embeddings.

tokenizer_config.json: transformers 5 writes a class and a key that 4.x does not know; both have an older name that
each of them reads. What a tokenizer returns is a default of its class, and not the same in both.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import runs

_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}  # as 5 names it → as both read it


def settle_config(model: Any, folder: Path) -> None:
    """Let the saved config.json of a model with an output layer of its own say so."""
    file = folder / "config.json"
    if _has_own_output(model):
        runs.write_json(file, {**runs.read_object(file), "tie_word_embeddings": False})


def _has_own_output(model: Any) -> bool:
    """Whether a model that writes texts has an output layer that is not its table of embeddings."""
    output = getattr(model, "get_output_embeddings", lambda: None)()
    return output is not None and output.weight is not model.get_input_embeddings().weight


def settle_tokenizer(tokenizer: Any, model: Any, folder: Path) -> None:
    """Let the saved tokenizer_config.json use names that transformers 4.x knows, and say what the model takes.

    Args:
        tokenizer: As it was saved to `folder`.
        model: Of transformers, which will be given what the tokenizer returns.
        folder: With a tokenizer_config.json.
    """
    file = folder / "tokenizer_config.json"
    settings = runs.read_object(file)
    if settings.get("tokenizer_class") in _CLASSES:
        settings["tokenizer_class"] = _CLASSES[settings["tokenizer_class"]]
    if isinstance(settings.get("extra_special_tokens"), list):  # 4.x takes a dictionary there, and lists by this name:
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    settings["model_input_names"] = _taken(tokenizer.model_input_names, model)
    runs.write_json(file, settings)


def _taken(names: Sequence[str], model: Any) -> list[str]:
    """Return those of a tokenizer's outputs that a model takes, for 4.x hands over all of them, by its own defaults."""
    known = inspect.signature(type(model).forward).parameters
    return [name for name in names if name in known] or list(names)
