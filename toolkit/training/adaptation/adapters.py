"""Adapters (LoRA, DoRA): small matrices next to frozen weights, added to the model in place.

peft puts the adapters inside the model's own layers, so training, evaluating and saving states use the same
model. The modules above the layers (pooler, head) are often new, and trained in full. A saved model
is a copy with the adapters merged into its weights, which needs no peft.

Sources: Hu et al. 2022, "LoRA"; Liu et al. 2024, "DoRA".
"""

import copy
import re
import warnings
from pathlib import Path
from typing import Any

from toolkit.config.settings import AdapterConfig
from toolkit.errors import ConfigError
from toolkit.training.adaptation.layer_groups import above_layers, layers, nearest

_TASKS = {"ForSequenceClassification": "SEQ_CLS", "ForTokenClassification": "TOKEN_CLS"}


def attach(model: Any, config: AdapterConfig, origin: str, revision: str | None) -> Any:
    """Add adapters to `model` and freeze everything except them and the modules above the layers.

    Args:
        model: A transformers model; changed in place.
        config: `kind` is not "none".
        origin: Name by which transformers finds the base checkpoint: a Hub id or a folder; kept with the adapters.
        revision: Its commit.

    Returns:
        peft's view of the same model, for `merged` and `save`.

    Raises:
        ConfigError: No layer matches, or one that does cannot have an adapter.
    """
    from peft import LoraConfig, get_peft_model

    if not layers(model):
        raise ConfigError(
            f"{type(model).__name__} has no stack of layers to adapt.",
            "Use `adapter.kind=none`.",
            id="model.adapter-unsupported",
        )
    words = getattr(model, "get_output_embeddings", lambda: None)()  # a language model's; large, and not new
    head = [name for name in above_layers(model) if model.get_submodule(name) is not words]
    _check_targets(model, config.targets, head)
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        use_dora=config.kind == "dora",
        target_modules=config.targets,
        modules_to_save=head,
        revision=revision,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses attributes that transformers has renamed
        try:
            adapted = get_peft_model(model, settings)
        except ValueError as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(
                f"Adapters cannot be added there: {reason}",
                "Set `adapter.targets=all-linear`.",
                id="model.adapter-unsupported",
            ) from error
    kept = adapted.peft_config["default"]  # stored with the adapters, for peft's Auto classes
    kept.base_model_name_or_path = origin
    kept.task_type = _task_type(model)
    return adapted


def _task_type(model: Any) -> str | None:
    """Return peft's name of the task; None where it has none, and uses the model's class."""
    if model.config.is_encoder_decoder and model.can_generate():
        return "SEQ_2_SEQ_LM"
    name = type(model).__name__
    return next((task for part, task in _TASKS.items() if part in name), None)


def _check_targets(model: Any, targets: str, head: list[str]) -> None:
    if targets == "all-linear":
        return
    import torch
    from transformers.pytorch_utils import Conv1D

    kinds = (torch.nn.Linear, Conv1D, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)  # layers that peft adapts
    leaves = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    below = [name for name in leaves if not any(name == part or name.startswith(f"{part}.") for part in head)]
    try:
        matched = any(re.fullmatch(targets, name) for name in below)
    except re.error as error:
        raise ConfigError(
            f"`adapter.targets` is not a regular expression: {error}.",
            "Set it to all-linear.",
            id="config.malformed-value",
        ) from None
    if not matched:
        raise ConfigError(
            f"`adapter.targets` is {targets!r}, which matches no name of a linear layer below the head.",
            f"It must match whole names, such as {', '.join(nearest(targets, below))}.",
            id="config.no-such-layer",
        )


def merged(adapted: Any) -> Any:
    """Return a copy of the model with the adapters added to its weights; the model itself is unchanged."""
    return copy.deepcopy(adapted).merge_and_unload()


def save(adapted: Any, folder: Path) -> None:
    """Write the adapters and the fully trained modules to `folder`, as `peft.PeftModel.from_pretrained` reads it."""
    adapted.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty template
