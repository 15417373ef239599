"""What the config.json of a checkpoint says: its family, its classes, its bounds, and the tasks that it fits."""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.data.bitext.languages import PROMPTED_IN_WORDS
from toolkit.errors import ModelError

# these families count positions from the padding token's number + 1
_SHIFTED = (
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "layoutlmv3",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
)
_OLD_NAME = ("ctrl", "gpt2", "gpt_bigcode", "gptj", "openai-gpt")  # T5 has the old name as well, and no bound


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder on this machine.

    Attributes:
        name: As the user gave it.
        path: The folder.
        origin: Where it came from, as a name that finds it again.
        revision: Commit on the Hub, if it came from there.
        note: One sentence for the user when it is not simply the requested one.
        config: Its config.json.
    """

    name: str
    path: Path
    origin: str
    revision: str | None
    note: str | None
    config: Mapping[str, Any]

    @property
    def hidden_size(self) -> int | None:
        """Width of the hidden states, whatever the family calls it."""
        keys = ("hidden_size", "dim", "d_model", "embed_dim", "n_embd")
        size = next((self.config[key] for key in keys if key in self.config), None)
        return size if isinstance(size, int) else None


def names_of_classes(config: Mapping[str, Any]) -> dict[str, str] | None:
    """Return number → name of each class that a config.json names, in either direction; None if it does not.

    Some write a list, or names → numbers, or `label2id` alone.
    """
    stated = config.get("id2label") or config.get("label2id") or {}
    if isinstance(stated, list):
        stated = dict(enumerate(stated))
    if not isinstance(stated, Mapping):
        return None
    if not all(str(key).isdecimal() for key in stated):
        stated = {number: name for name, number in stated.items() if isinstance(number, int | str)}
    names = {str(key): str(name) for key, name in stated.items() if isinstance(name, str | int)}
    whole = len(names) == len(config.get("id2label") or config.get("label2id") or {})
    return names if whole and all(key.isdecimal() for key in names) else None


def built_in(model_type: str) -> bool:
    """Whether transformers itself defines a family."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def learning_rate(
    checkpoint: Checkpoint, adapter: str = "none", *, from_scratch: bool = False, head_alone: bool = False
) -> float:
    """Return the peak learning rate to use when none was given: 5e-5 at width 768, more for narrower models.

    A pretrained Vision Transformer takes a fifth (He et al. 2022, "Masked autoencoders are scalable vision learners",
    table 9: 5e-4 × batch size / 256, which is 1.6e-5 for batches of 8, with less for the lower layers).

    The best step size of Adam falls with the width of the layers (Yang et al. 2022, "Tensor Programs V", table 3).
    Adapters take ten times as much (Hu et al. 2022, "LoRA", table 9: 4e-4 to 5e-4 for RoBERTa-base), and so does
    training from scratch (Touvron et al. 2021, "Training data-efficient image transformers", table 9: 5e-4 at width
    768), but never more than 2e-3; a new head on a frozen backbone is trained from scratch. So does the T5
    family, whose weights are not scaled for Adam (Raffel et al. 2020, section 3.1.2: 1e-3 for all sizes).
    """
    factor, _ = _factor(checkpoint, adapter, from_scratch=from_scratch, head_alone=head_alone)
    rate = 5e-5 * 768 / (checkpoint.hidden_size or 768) * factor
    return float(f"{min(rate, 2e-3) if from_scratch else rate:.3g}")


def learning_rate_rule(
    checkpoint: Checkpoint, adapter: str = "none", *, from_scratch: bool = False, head_alone: bool = False
) -> str:
    """Return how `learning_rate` computes its result, in words."""
    factor, reason = _factor(checkpoint, adapter, from_scratch=from_scratch, head_alone=head_alone)
    parts = [f"5e-5 × 768 / hidden size {checkpoint.hidden_size or 768:,}"]
    parts += [f"times {factor:g} for {reason}"] if reason else []
    parts += ["at most 2e-3"] if from_scratch else []
    return ", ".join(parts)


def _factor(checkpoint: Checkpoint, adapter: str, *, from_scratch: bool, head_alone: bool) -> tuple[float, str]:
    """Return what the learning rate is multiplied by, and for what; (1, "") where it is not."""
    reasons = {
        "adapters": (10, adapter != "none"),
        "random weights": (10, from_scratch),
        "a new head alone": (10, head_alone),
        "T5": (10, checkpoint.config.get("model_type") in ("t5", "mt5", "umt5", "longt5")),
        "a pretrained Vision Transformer": (0.2, _reads_patches(checkpoint)),
    }
    return next(((factor, reason) for reason, (factor, applies) in reasons.items() if applies), (1, ""))


def _reads_patches(checkpoint: Checkpoint) -> bool:
    """Whether a model reads pictures as patches; convolutions, which may name patches too, have no single width."""
    return checkpoint.hidden_size is not None and {"patch_size", "image_size"} <= checkpoint.config.keys()


def family(path: Path) -> str:
    """Return the model type of a checkpoint folder; "" where its configuration names none."""
    try:
        return str(json.loads((path / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def longest_input(checkpoint: Checkpoint) -> int | None:
    """Return how many tokens the position embeddings reach, or None when the family sets no bound."""
    return reach(checkpoint.config)


def reach(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens the position embeddings of a model's configuration reach; None sets no bound."""
    family = config.get("model_type")
    limit = config.get("n_positions" if family in _OLD_NAME else "max_position_embeddings")
    if not isinstance(limit, int) or limit < 1:
        return None
    if family == "mpnet":  # whatever its configuration gives for padding
        return limit - 2
    return limit - (config.get("pad_token_id", 1) or 0) - 1 if family in _SHIFTED else limit


def label_names(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the classes a checkpoint was trained with, in the order of its logits; empty when it has none.

    transformers leaves the names of two classes out of the file where they are its placeholders LABEL_0 and LABEL_1.
    """
    names = checkpoint.config.get("id2label") or {}
    if not names and _has_head_for_classes(checkpoint):
        return placeholders(2)
    return tuple(names[key] for key in sorted(names, key=int))


def placeholders(count: int) -> tuple[str, ...]:
    """Return the names that transformers gives to classes without names."""
    return tuple(f"LABEL_{number}" for number in range(count))


def _has_head_for_classes(checkpoint: Checkpoint) -> bool:
    return any("Classification" in name for name in architectures(checkpoint))


def architectures(checkpoint: Checkpoint) -> list[str]:
    """Return the names of the model classes whose weights a checkpoint holds; empty when it does not name them."""
    named = checkpoint.config.get("architectures")
    return [str(name) for name in named] if isinstance(named, list) else []


def check_head(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose class has no classification head: a new head would predict at random.

    Raises:
        ModelError: With what it is.
    """
    named = architectures(checkpoint)
    if named and not _has_head_for_classes(checkpoint):
        raise ModelError(
            f"{checkpoint.name} is a {named[0]}, which predicts no classes: it was not fine-tuned for this task.",
            f"Fine-tune it first (`toolkit finetune TASK --model {checkpoint.name}`), or give its task with --recipe.",
            id="model.not-fine-tuned",
        )


def check_writer(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint of a family that does not generate text.

    Raises:
        ModelError: With its family.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

    _check_family(
        checkpoint,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        "generate one text from another",
        "Use a sequence-to-sequence model, such as t5-small, opus-mt or nllb.",
    )


SPEECH_TO_TEXT = ("whisper", "speech_to_text")  # families that write what is said token by token


def check_transcriber(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint of a family that writes neither characters for frames of a recording, nor tokens.

    Raises:
        ModelError: With its family.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING_NAMES

    _check_family(
        checkpoint,
        {*MODEL_FOR_CTC_MAPPING_NAMES, *SPEECH_TO_TEXT},
        "write what is said in a recording",
        "Use another, such as wav2vec2, hubert or openai/whisper-tiny.",
    )


def unasked(checkpoint: Checkpoint, options: Mapping[str, Any]) -> list[str]:
    """Warn that a model of the T5 family lacks its task prefix where the languages are not named."""
    named = options.get("prefix") is not None or (options.get("source") and options.get("target"))
    if named or "prefix" not in options or checkpoint.config.get("model_type") not in PROMPTED_IN_WORDS:
        return []
    return [
        "T5 expects the prefix “translate English to French: …”, which needs both languages: give them (--source en "
        "--target fr), or the --prefix of your own task."
    ]


_CLASSIFIERS = {  # modality → the mappings of transformers that name its families, what they do, and an example
    "image": (("IMAGE",), "classify pictures", "vit or dinov2"),
    "text": (("SEQUENCE", "TOKEN"), "classify texts", "distilbert or minilm"),
    "audio": (("AUDIO",), "classify recordings", "wav2vec2"),
}


def check_classifier(checkpoint: Checkpoint, modality: str) -> None:
    """Refuse a checkpoint of a family with another kind of input than the task's, such as texts for pictures.

    Args:
        checkpoint: The checkpoint.
        modality: Input of the task's models; an unknown one is not checked.

    Raises:
        ModelError: With its family.
    """
    from transformers.models.auto import modeling_auto

    if modality not in _CLASSIFIERS:
        return
    names, work, examples = _CLASSIFIERS[modality]
    mappings = [getattr(modeling_auto, f"MODEL_FOR_{name}_CLASSIFICATION_MAPPING_NAMES") for name in names]
    families = {family for mapping in mappings for family in mapping}
    _check_family(checkpoint, families, work, f"Use another, such as {examples}.")


def _check_family(checkpoint: Checkpoint, families: Container[str], work: str, fix: str) -> None:
    kind = checkpoint.config.get("model_type", "")
    if built_in(kind) and kind not in families:
        raise ModelError(
            f"{checkpoint.name} is of the family {kind}, which does not {work}.", fix, id="model.wrong-family"
        )


_TASKS = {
    "ForSequenceClassification": "text",
    "ForImageClassification": "image",
    "ForTokenClassification": "tokens",
    "ForCTC": "transcribe",
    "ForConditionalGeneration": "translation",
    "MarianMTModel": "translation",
}


def task_of(checkpoint: Checkpoint) -> str | None:
    """Return the packaged recipe that a checkpoint of elsewhere fits by its model class, or None."""
    from transformers.models.auto import modeling_auto

    named = architectures(checkpoint)
    if set(named) & set(modeling_auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES.values()):
        return "speech"
    if checkpoint.config.get("model_type") in SPEECH_TO_TEXT:
        return "transcribe"
    return next((task for part, task in _TASKS.items() if any(part in name for name in named)), None)
