"""Load a checkpoint with the right head and dropout, and save it again."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit import compatibility, runs, weights
from toolkit.config.settings import LoadingConfig, TrainingConfig
from toolkit.data.images import image_decoding
from toolkit.errors import ModelError, ToolkitError

# Names of the same two settings differ by family.
_HIDDEN_DROPOUT = (
    "hidden_dropout_prob",
    "dropout",
    "hidden_dropout",
    "resid_pdrop",
    "dropout_rate",
    "mlp_dropout",
    "seq_classif_dropout",
    "classifier_dropout",
    "pooler_dropout",
)
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")
_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "attn_dropout")


def dropout_settings(config: Any, training: TrainingConfig) -> dict[str, float]:
    """Return the keys of this model family that set the configured dropout.

    Args:
        config: The model's own configuration object.
        training: Holds the wanted rates; None leaves the checkpoint's, but where only the head is trained 0: dropout
            protects trained layers, and without it the inputs of the head are always the same.
    """
    hidden = 0.0 if training.dropout is None and training.freeze == "trunk" else training.dropout
    settings: dict[str, float] = {}
    for wanted, names in ((hidden, _HIDDEN_DROPOUT), (training.attention_dropout, _ATTENTION_DROPOUT)):
        if wanted is not None:
            settings.update({name: wanted for name in names if isinstance(getattr(config, name, None), float | int)})
    return settings


def load(
    auto: Any, path: Path, labels: Sequence[str], loading: LoadingConfig, training: TrainingConfig, **arguments: Any
) -> Any:
    """Load a checkpoint with a head for `labels`, in 32-bit floats.

    Args:
        auto: The Auto class of the task, such as `AutoModelForSequenceClassification`.
        path: The checkpoint folder.
        labels: Names of the classes; they are stored in the model's configuration. Empty for a model without classes,
            whose weights must all be there.
        loading: What the checkpoint may do.
        training: Dropout rates.
        arguments: Further values for the model's configuration.

    Raises:
        ModelError: transformers cannot load it, or weights of its backbone are missing.
    """
    import torch

    with model_errors(path):
        config = _configuration(path, loading, training)
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: number for number, name in enumerate(labels)}
        for name, value in arguments.items():
            setattr(config, name, value)
        with quiet():
            if loading.from_scratch:
                model = auto.from_config(config, dtype=torch.float32, trust_remote_code=loading.trust_remote_code)
            else:
                model = weights.read(
                    auto,
                    path,
                    new_head=bool(labels),
                    config=config,
                    trust_remote_code=loading.trust_remote_code,
                    use_safetensors=None if loading.allow_pickle else True,
                )
    if labels and _reads_last_token(config):
        model.config.pad_token_id = load_tokenizer(path, loading).pad_token_id
    return model


def _configuration(path: Path, loading: LoadingConfig, training: TrainingConfig) -> Any:
    """Read a checkpoint's configuration, with the configured dropout."""
    from transformers import AutoConfig

    known = _renamed(path).get("config")
    config = known or AutoConfig.from_pretrained(path, trust_remote_code=loading.trust_remote_code)
    _forget_code(config, loading)
    for name, value in dropout_settings(config, training).items():
        setattr(config, name, value)
    return config


def _reads_last_token(config: Any) -> bool:
    """Whether a family classifies by the last token that is not padding, so its number must be set."""
    from transformers.models.auto import modeling_auto as known

    kind = config.model_type
    of_texts = kind in known.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES  # Whisper classifies recordings
    written = kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return of_texts and written and kind not in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES


def _renamed(path: Path) -> dict[str, Any]:
    """Return the configuration of a checkpoint as an argument, without names of classes that transformers cannot read.

    It reads number → name; other checkpoints have lists, or names → numbers. {} where it can be read.
    """
    try:
        named = json.loads((path / "config.json").read_text(encoding="utf-8")).get("id2label")
    except (OSError, ValueError, AttributeError):  # the next reader reports it
        return {}
    if named is None or (isinstance(named, dict) and all(str(key).isdecimal() for key in named)):
        return {}
    from transformers import AutoConfig, PretrainedConfig

    values, _ = PretrainedConfig.get_config_dict(path)
    return {"config": AutoConfig.for_model(**{**values, "id2label": None, "label2id": None})}


def _forget_code(loaded: Any, loading: LoadingConfig) -> None:
    """Remove the names of unused code from loaded objects, so that they are not saved again for others to run."""
    if not loading.trust_remote_code:
        for kept in (vars(loaded), getattr(loaded, "init_kwargs", {})):
            for key in ("auto_map", "custom_pipelines"):
                kept.pop(key, None)


def load_bare(path: Path, loading: LoadingConfig) -> Any:
    """Load a checkpoint without a head, in evaluation mode and in 32-bit floats.

    Raises:
        ModelError: transformers cannot load it, or weights are missing.
    """
    from transformers import AutoModel

    with model_errors(path), quiet():
        return weights.read(
            AutoModel,
            path,
            new_head=False,
            **_renamed(path),
            trust_remote_code=loading.trust_remote_code,
            use_safetensors=None if loading.allow_pickle else True,
        ).eval()


def load_masked(path: Path, loading: LoadingConfig, training: TrainingConfig) -> tuple[Any, bool]:
    """Load a checkpoint as a masked language model, and return with it whether weights of its head are new.

    Raises:
        ModelError: transformers cannot load it, or weights of its backbone are missing.
    """
    from transformers import AutoModelForMaskedLM

    with model_errors(path), quiet(), weights.watched() as loaded:
        config = _configuration(path, loading, training)
        model = weights.read(
            AutoModelForMaskedLM,
            path,
            new_head=True,
            config=config,
            trust_remote_code=loading.trust_remote_code,
            use_safetensors=None if loading.allow_pickle else True,
        )
    return model, any(part.new for part in loaded)


def load_tokenizer(path: Path, loading: LoadingConfig, *, fast: bool = True, **arguments: Any) -> Any:
    """Load the tokenizer of a checkpoint folder.

    Args:
        path: The folder.
        loading: What the checkpoint may do.
        fast: Refuse one that does not give each token's place in the text.
        arguments: For the tokenizer.

    Raises:
        ModelError: There is none, or it cannot be loaded.
    """
    from transformers import AutoTokenizer

    # without one transformers silently creates a tokenizer without a vocabulary
    files = [file for file in path.iterdir() if file.is_file()]
    if not any(file.name in _VOCABULARIES or file.suffix in (".model", ".spm", ".tiktoken") for file in files):
        raise ModelError(
            f"{path} holds no tokenizer (tokenizer.json).",
            "Save the tokenizer into the same folder.",
            id="model.tokenizer-missing",
        )
    with model_errors(path), quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")  # punctuation is left as it is
        arguments |= _renamed(path)
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=loading.trust_remote_code, **arguments)
        _forget_code(tokenizer, loading)
    if fast and not tokenizer.is_fast:
        raise ModelError(
            f"{path} has no fast tokenizer (tokenizer.json).",
            "Convert it with transformers first.",
            id="model.tokenizer-missing",
        )
    _check_vocabulary(path, tokenizer)
    if tokenizer.pad_token is None:  # an end or start token serves as well, since padding is masked
        marks = (tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token)
        tokenizer.pad_token = next((mark for mark in marks if mark), None)
    return tokenizer


def load_image_processor(path: Path, loading: LoadingConfig, size: int | None = None) -> Any:
    """Load the image processor of a checkpoint folder, one that makes all pictures the same size.

    Args:
        path: The checkpoint folder.
        loading: What the checkpoint may do.
        size: Height and width of the model's input, in pixels; the processor's own when None.

    Raises:
        ModelError: It cannot be loaded.
    """
    image_decoding.pillow()
    with model_errors(path), quiet():
        from transformers import AutoImageProcessor, ViTImageProcessor

        if any((path / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
            processor = AutoImageProcessor.from_pretrained(
                path, backend="pil", trust_remote_code=loading.trust_remote_code, **_renamed(path)
            )
            _forget_code(processor, loading)
        else:  # as in transformers' own conversions of the first ViTs
            stated = json.loads((path / "config.json").read_text(encoding="utf-8")).get("image_size", 224)
            edge = stated[0] if isinstance(stated, list) else stated
            processor = ViTImageProcessor(size={"height": edge, "width": edge})
        _set_size(processor, size)
    return processor


def _set_size(processor: Any, wanted: int | None) -> None:
    """Let a processor make squares of `wanted` pixels, or of its own size if it would keep the aspect ratio."""
    stated = dict(processor.size)
    if hasattr(processor, "crop_pct"):
        if wanted:
            processor.size = {"shortest_edge": wanted}
    elif getattr(processor, "do_center_crop", False):
        if wanted:  # the cropped margin stays in proportion
            before = dict(processor.crop_size)["height"]
            processor.size = {key: round(wanted * pixels / before) for key, pixels in stated.items() if pixels}
            processor.crop_size = {"height": wanted, "width": wanted}
    elif wanted or stated.get("shortest_edge"):
        square = wanted or stated["shortest_edge"]
        processor.size = {"height": square, "width": square}


def _check_vocabulary(path: Path, tokenizer: Any) -> None:
    """Refuse a tokenizer with numbers beyond the embedding matrix, which on a GPU end in an assertion of CUDA."""
    try:
        known = json.loads((path / "config.json").read_text(encoding="utf-8")).get("vocab_size")
    except (OSError, ValueError, AttributeError):
        return
    if isinstance(known, int) and len(tokenizer) > known:
        raise ModelError(
            f"The tokenizer in {path} has {len(tokenizer):,} tokens, but the model supports only {known:,}.",
            "Use the tokenizer that the model was trained with; added tokens need rows in its embeddings.",
            id="model.tokenizer-mismatch",
        )


@contextmanager
def model_errors(path: Path) -> Iterator[None]:
    """Convert errors of transformers for a broken checkpoint to one message."""
    try:
        yield
    except ToolkitError:
        raise
    except Exception as error:  # of any type, since its files may contain anything
        if type(error).__name__ == "SafetensorError":
            raise ModelError(
                f"The weights in {path} are damaged: {error}.",
                "Download or copy the checkpoint again.",
                id="model.weights-damaged",
            ) from error
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise ModelError(
            f"The checkpoint in {path} cannot be loaded: {reason}",
            "Check that it is complete and made for this task; `toolkit doctor` checks the installation.",
            id="model.cannot-load",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' reports on new heads and its progress bars."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def plainly(model: Any) -> Iterator[None]:
    """Within the block, run `model` in evaluation mode, at full precision and without gradients."""
    import torch

    training = model.training
    own = vars(model).pop("forward", None)  # Accelerate gives the instance one that computes in 16 bits
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
        if own is not None:
            model.forward = own


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write weights (safetensors), configuration and processor to `folder`, whole or not at all."""
    with runs.aside(folder) as draft, quiet():
        model.save_pretrained(draft, **_gathered(model))
        compatibility.settle_config(model, draft)
        save_processor(processor, model, draft)


def save_processor(processor: Any, model: Any, folder: Path) -> None:
    """Write the tokenizer or image processor of a model to an existing folder."""
    tokenizer = getattr(processor, "backend_tokenizer", None)
    if tokenizer is not None:  # the last call's truncation is not part of it
        tokenizer.no_truncation()
        tokenizer.no_padding()
    processor.save_pretrained(folder)
    if (folder / "tokenizer_config.json").is_file() and not hasattr(processor, "extractor"):
        compatibility.settle_tokenizer(processor, model, folder)


def _gathered(model: Any) -> dict[str, Any]:
    """Return the gathered weights of a sharded model, which `state_dict` would shard again."""
    from torch.distributed.fsdp import FSDPModule

    if not isinstance(model, FSDPModule):
        return {}
    network: Any = model
    weights = dict(network.named_parameters())
    for prefix, module in network.named_modules():
        kept = module._buffers.keys() - module._non_persistent_buffers_set
        weights |= {f"{prefix}.{name}".lstrip("."): module._buffers[name] for name in sorted(kept)}
    return {"state_dict": {name: tensor.detach() for name, tensor in weights.items() if tensor is not None}}


def size(model: Any) -> tuple[int, int]:
    """Return (number of parameters, bytes they take)."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() * p.element_size() for p in parameters)


def trainable(model: Any) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def checkpoint_activations(model: Any) -> None:
    """Store only each layer's input, and recompute the activations in the backward pass.

    Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".

    Raises:
        ModelError: The family does not support it.
    """
    names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")  # new and old name
    enable = next((getattr(model, name) for name in names if hasattr(model, name)), None)
    logging.getLogger("transformers.utils.generic").addFilter(_is_no_remark_on_caches)
    try:
        if enable is None:
            raise ValueError
        enable({"use_reentrant": False})
    except ValueError:
        raise ModelError(
            f"{type(model).__name__} has no gradient checkpointing.",
            "Unset `training.gradient_checkpointing`; a smaller `training.micro_batch_size` saves memory too.",
            id="model.no-gradient-checkpointing",
        ) from None


def _is_no_remark_on_caches(record: logging.LogRecord) -> bool:
    """Drop the warning about caches, which training does not use."""
    return "is incompatible with gradient checkpointing" not in record.getMessage()
