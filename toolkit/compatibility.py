"""What a saved checkpoint must say so that other programs, and transformers 4.x, read it as it was trained.

config.json: transformers 5 states `tie_word_embeddings: true` for the whole T5 family and goes by the weights. Other
programs go by the statement, and drop an output layer that is not the table of embeddings. The period of rotary
positions, which it writes inside `rope_parameters`, 4.x looks for at the top, and takes 10,000 where it finds none.

tokenizer_config.json: transformers 5 writes a class and a key that 4.x does not know; both have an older name that
each of them reads. What a tokenizer returns is a default of its class, and not the same in both.
"""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs

_LAYERS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}  # ModernBERT's
_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}  # as 5 names it → as both read it


def settle_config(model: Any, folder: Path) -> None:
    """Let the saved config.json state what other programs read there, and transformers 5 reads elsewhere."""
    file = folder / "config.json"
    settings = runs.read_object(file)
    stated = _positions(settings.get("rope_parameters") or {})
    if _has_own_output(model):
        stated["tie_word_embeddings"] = False
    if stated:
        runs.write_json(file, {**settings, **stated})


def _positions(rope: Mapping[str, Any]) -> dict[str, Any]:
    """Return rotary positions under the names that they had before transformers 5."""
    stated = {old: rope[kind]["rope_theta"] for kind, old in _LAYERS.items() if "rope_theta" in rope.get(kind, ())}
    if "rope_theta" in rope:
        stated["rope_theta"] = rope["rope_theta"]
        if rope.get("rope_type", "default") != "default":
            stated["rope_scaling"] = {key: value for key, value in rope.items() if key != "rope_theta"}
    return stated


def _has_own_output(model: Any) -> bool:
    """Whether a model's output layer is not its table of embeddings, though its configuration always says that it is.

    Other families are told by the same key whether encoder and decoder share one table: there it stays as it is.
    """
    output = getattr(model, "get_output_embeddings", lambda: None)()
    if output is None or output.weight is model.get_input_embeddings().weight or not model.config.tie_word_embeddings:
        return False
    return bool(type(model.config)(tie_word_embeddings=False).tie_word_embeddings)


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
