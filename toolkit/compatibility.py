"""Values of a saved checkpoint that other programs, and transformers 4.x, need to load it as it was trained.

config.json: transformers 5 states `tie_word_embeddings: true` for the whole T5 family and follows the weights. Other
programs follow the value, and drop an output layer that is not the table of embeddings. The period of rotary
positions, which it writes inside `rope_parameters`, 4.x expects at the top level, with 10,000 as the default.

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
    """Add to the saved config.json values that other programs read there, and transformers 5 elsewhere."""
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
    """Whether a model's output layer is not its table of embeddings, although its configuration always states that.

    For other families the same key states whether encoder and decoder share one table: there it is kept.
    """
    output = getattr(model, "get_output_embeddings", lambda: None)()
    if output is None or output.weight is model.get_input_embeddings().weight or not model.config.tie_word_embeddings:
        return False
    return bool(type(model.config)(tie_word_embeddings=False).tie_word_embeddings)


def settle_tokenizer(tokenizer: Any, model: Any, folder: Path) -> None:
    """Let the saved tokenizer_config.json use names that transformers 4.x knows, and state the model's inputs.

    Args:
        tokenizer: As it was saved to `folder`.
        model: Of transformers, which will be given what the tokenizer returns.
        folder: With a tokenizer_config.json.
    """
    file = folder / "tokenizer_config.json"
    settings = runs.read_object(file)
    if settings.get("tokenizer_class") in _CLASSES:
        settings["tokenizer_class"] = _CLASSES[settings["tokenizer_class"]]
    if isinstance(settings.get("extra_special_tokens"), list):  # 4.x expects a dictionary there
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    settings["model_input_names"] = _taken(tokenizer.model_input_names, model)
    runs.write_json(file, settings)


def _taken(names: Sequence[str], model: Any) -> list[str]:
    """Return a tokenizer's outputs that a model takes; 4.x passes all of them, by its own defaults."""
    known = inspect.signature(type(model).forward).parameters
    return [name for name in names if name in known] or list(names)
