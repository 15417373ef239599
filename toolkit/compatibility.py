"""What a saved checkpoint must say so that other programs, and transformers 4.x, read it as it was trained.

config.json: transformers 5 states `tie_word_embeddings: true` for the whole T5 family and goes by the weights. Other
programs go by the statement, and drop an output layer that is not the table of embeddings.

tokenizer_config.json: transformers 5 writes a class and a key that 4.x does not know; both have an older name that
each of them reads.
"""

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


def settle_tokenizer(folder: Path) -> None:
    """Let the saved tokenizer_config.json, where there is one, use names that transformers 4.x knows."""
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return
    settings = runs.read_object(file)
    name = settings.get("tokenizer_class")
    if name in _CLASSES:
        settings["tokenizer_class"] = _CLASSES[name]
    if isinstance(settings.get("extra_special_tokens"), list):  # 4.x takes a dictionary there, and lists by this name:
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    runs.write_json(file, settings)
