"""Adapters named as models: merged into their base model, and kept in the cache like any other checkpoint."""

import dataclasses
import hashlib
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import compatibility, environment, runs
from toolkit.checkpoints.files import ADAPTER, ADAPTER_WEIGHTS
from toolkit.config.settings import LoadingConfig
from toolkit.errors import ModelError, SourceError
from toolkit.model_names import ALIASES

_COMPANIONS = (".json", ".txt", ".model", ".spm", ".jinja", ".tiktoken")
_CLASSES = {  # peft's name of a task → transformers' class for it
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
}
_KEYS = (  # what an adapter may set; anything else must have peft's default
    "alpha_pattern", "bias", "exclude_modules", "fan_in_fan_out", "layers_pattern", "layers_to_transform",
    "lora_alpha", "lora_dropout", "modules_to_save", "r", "rank_pattern", "target_modules", "use_dora", "use_rslora",
)  # fmt: skip
_IGNORED = ("auto_mapping", "base_model_name_or_path", "inference_mode", "init_lora_weights", "peft_type",
            "peft_version", "revision", "task_type")  # fmt: skip
_HEADS = re.compile(r".*\b(?:classifier|score|out_proj|projector)\.(?:\w+\.)*weight")


def is_adapter(folder: Path) -> bool:
    """Whether a folder is an adapter: that decides what transformers loads from it, whatever else is there."""
    return (folder / ADAPTER).is_file()


def base_names(folder: Path, name: str) -> Sequence[str]:
    """Return the name of the model that an adapter changes, and names that may stand in for it without the Hub.

    Raises:
        ModelError: It names none.
    """
    config = _settings(folder, name)
    base, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"The adapter {name} does not name its base model.",
            f"Set `base_model_name_or_path` in its {ADAPTER} to a Hub id.",
            id="model.adapter-base",
        )
    packaged = [alias.packaged for alias in ALIASES.values() if alias.hub == base and alias.packaged]
    on_hub = isinstance(revision, str) and not Path(base).exists() and "@" not in base
    return [f"{base}@{revision}" if on_hub else base, *packaged]


def merged(folder: Path, base: Path, name: str, loading: LoadingConfig) -> Path:
    """Return a folder with the base model after an adapter was merged into its weights; it is made once.

    Args:
        folder: Of the adapter.
        base: Of the model that it changes.
        name: Of the adapter, for messages.
        loading: What the checkpoints may hold.

    Raises:
        ModelError: It is no LoRA or DoRA adapter, sets what is not supported, or does not belong to the model.
    """
    settings = _checked(_settings(folder, name), name)
    place = environment.cache_folder() / "adapters" / f"{runs.slug(name)}-{_digest(folder, base)}"
    if not (place / "config.json").is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        with runs.aside(place) as draft:
            _write(folder, base, draft, name, settings, loading)
    return place


def _settings(folder: Path, name: str) -> dict[str, Any]:
    """Read an adapter's configuration.

    Raises:
        ModelError: It is damaged.
    """
    try:
        return runs.read_object(folder / ADAPTER)
    except SourceError as error:
        raise ModelError(
            f"The {ADAPTER} of {name} cannot be read: {error.problem}",
            "Download or copy the adapter again.",
            id="model.config-damaged",
        ) from None


def _checked(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of a LoRA or DoRA adapter.

    Raises:
        ModelError: It is another kind of adapter, or sets something else, which may name code.
    """
    from peft import LoraConfig

    usual = LoraConfig()
    defaults = {field.name: getattr(usual, field.name) for field in dataclasses.fields(usual)}
    further = [
        key
        for key, value in config.items()
        if key not in (*_KEYS, *_IGNORED) and value not in (None, False, {}, [], defaults.get(key))
    ]
    kind = config.get("peft_type")
    if kind != "LORA" or further:
        what = f"is of the kind {kind}" if kind != "LORA" else f"sets `{further[0]}`"
        raise ModelError(
            f"The adapter {name} {what}; only plain LoRA and DoRA adapters can be merged here.",
            "Merge it into its base model with peft (`merge_and_unload`), save that, and give its folder.",
            id="model.is-adapter",
        )
    return {key: config[key] for key in _KEYS if config.get(key) is not None}


def _digest(folder: Path, base: Path) -> str:
    """Return a digest of the files that decide what the merged model is."""
    small = [file for file in sorted(folder.iterdir()) if file.suffix in _COMPANIONS]
    files = [*small, folder / ADAPTER_WEIGHTS, base / "config.json", *sorted(base.glob("*.safetensors"))]
    lines = [f"{file.name} {runs.digest(file)}" for file in files if file.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _write(
    folder: Path, base: Path, draft: Path, name: str, settings: Mapping[str, Any], loading: LoadingConfig
) -> None:
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    from toolkit import models

    draft.mkdir()
    with models.model_errors(folder), models.quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses attributes that transformers has renamed
        state = load_file(folder / ADAPTER_WEIGHTS)
        model = _base_model(folder, base, name, state, loading)
        adapted = get_peft_model(model, LoraConfig(**settings))
        result = set_peft_model_state_dict(adapted, state)
        unknown = sorted(result.unexpected_keys)
        if unknown:
            raise _does_not_fit(name, f"`{unknown[0]}` has no place in it")
        whole = adapted.merge_and_unload()
        _copy(base, draft)
        whole.save_pretrained(draft)
        compatibility.settle_config(whole, draft)
        _copy(folder, draft)


def _base_model(folder: Path, base: Path, name: str, state: Mapping[str, Any], loading: LoadingConfig) -> Any:
    """Load the base model with the head that the adapter was trained with.

    Raises:
        ModelError: A part of the model is neither in the base model nor in the adapter.
    """
    import torch
    import transformers

    own = (folder / "config.json").is_file()
    config = transformers.AutoConfig.from_pretrained(
        folder if own else base, trust_remote_code=loading.trust_remote_code
    )
    task = _settings(folder, name).get("task_type")
    if not own and task in ("SEQ_CLS", "TOKEN_CLS"):
        heads = [key for key in state if _HEADS.fullmatch(key) and state[key].ndim == 2]
        if heads:
            config.num_labels = state[heads[-1]].shape[0]
    named = next(iter(config.architectures or []), "") if own else _CLASSES.get(str(task), "")
    kind = getattr(transformers, named, None)
    if kind is None:
        raise ModelError(
            f"The task of the adapter {name} is not known: its {ADAPTER} has the `task_type` {task}.",
            f"Put the config.json of the fine-tuned model next to it, or set `task_type` to {', '.join(_CLASSES)}.",
            id="model.adapter-task",
        )
    model, facts = kind.from_pretrained(
        base,
        config=config,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        trust_remote_code=loading.trust_remote_code,
        use_safetensors=None if loading.allow_pickle else True,
    )
    new = {*facts["missing_keys"], *(key for key, *_ in facts["mismatched_keys"])}
    stored = {key.removeprefix("base_model.model.") for key in state}
    missing = sorted(new - stored)
    if missing:
        raise _does_not_fit(name, f"`{missing[0]}` is in neither")
    return model


def _does_not_fit(name: str, reason: str) -> ModelError:
    return ModelError(
        f"The adapter {name} does not belong to its base model: {reason}.",
        f"Check `base_model_name_or_path` and `revision` in its {ADAPTER}.",
        id="model.adapter-base",
    )


def _copy(source: Path, target: Path) -> None:
    """Copy the small files of a checkpoint: tokenizer, processor, and what the toolkit stores next to weights."""
    for file in source.iterdir():
        if file.is_file() and file.suffix in _COMPANIONS and file.name != ADAPTER and "index" not in file.name:
            shutil.copyfile(file, target / file.name)
