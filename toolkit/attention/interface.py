"""Exchange a loaded model's attention, through transformers' attention interface."""

from collections.abc import Callable
from typing import Any

from toolkit.errors import ModelError
from toolkit.models import quiet


def implementation(model: Any) -> str | dict[str, Any]:
    """Return the model's attention as `switch` accepts it: one name, or one for each part of the model."""
    parts = {key: getattr(model.config, key) for key in getattr(model.config, "sub_configs", {})}
    names = {key: part._attn_implementation for key, part in parts.items() if part is not None}
    own = model.config._attn_implementation
    return own if all(name == own for name in names.values()) else {"": own, **names}


def switch(model: Any, name: str | dict[str, Any]) -> None:
    """Let the model attend by the function registered as `name`.

    Raises:
        ModelError: The model does not dispatch its attention through the interface.
    """
    with quiet():
        model.set_attn_implementation(name)
    wanted = name if isinstance(name, str) else name[""]
    if model.config._attn_implementation != wanted:
        raise ModelError(
            f"{type(model).__name__} uses custom attention, which cannot be replaced.",
            "Use a model that supports transformers' attention interface, such as BERT, DistilBERT, "
            "RoBERTa, ModernBERT or ViT.",
            id="model.attention-unsupported",
        )


def register(name: str, attend: Callable[..., Any], mask: Callable[..., Any]) -> None:
    """Make an attention function, and the function that makes its masks, known to transformers."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, mask)
