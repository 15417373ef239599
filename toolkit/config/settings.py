"""The sections of a run's configuration: every key with its type, its bounds, its default and its meaning."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from toolkit.config import normal_form, time_budget


def _as_label(value: Any) -> Any:
    """YAML reads the label 1 as a number and true as a boolean; here labels are their written form."""
    return normal_form.label(value) if isinstance(value, str | int | float) else value


def _as_class_weights(value: Any) -> Any:
    """Labels may be written as numbers here too; what is neither a map nor "balanced" is refused."""
    if value is None or value == "balanced":
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be balanced, or a map from labels to weights")
    weights = {_as_label(label): weight for label, weight in value.items()}
    if not all(isinstance(w, int | float) and not isinstance(w, bool) and w >= 0 for w in weights.values()):
        raise ValueError("the weights of classes must be numbers that are not negative")
    if not any(weights.values()):
        raise ValueError("at least one class must have a positive weight")
    return weights


def _as_freeze(value: Any) -> Any:
    """A number of layers, or a text that is a regular expression."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be a number of layers (at least 1), embeddings, trunk, or a regular expression")
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from None
    return value


Label = Annotated[str, BeforeValidator(_as_label)]
Name = Annotated[str, AfterValidator(normal_form.normal)]  # of a column
ClassWeights = Annotated[Literal["balanced"] | dict[str, float] | None, BeforeValidator(_as_class_weights)]
Freeze = Annotated[int | str | None, BeforeValidator(_as_freeze)]
Seconds = Annotated[float | None, BeforeValidator(time_budget.seconds_of)]


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """The data, and how they are divided."""

    source: str = Field("", description="File, folder, Hub id (org/name[:config][@revision]) or pkg://package/path")
    columns: dict[str, Name] = Field({}, description="Role → column, for columns that are not detected by name")
    column_names: list[Name] = Field([], description="Names of columns, in order, of CSV and text without a header")
    target: str | None = Field(
        None,
        description="What the label column holds, where a recipe takes several kinds: class (one for each row), "
        "classes (any number for each row), stars (ordered classes) or number; inferred from the column when not given",
    )
    unlabelled: str | None = Field(
        None,
        description="File or folder of texts without labels; with few labels, masked language modelling on them "
        "is one of the training methods that are compared",
    )
    where: dict[Name, Label] = Field({}, description="Keep only the rows whose column equals the value")
    label_map: dict[Label, Label | None] = Field(
        {}, description="Label as written → class to train; null drops the row"
    )
    min_label_rows: int | None = Field(
        None, ge=1, description="Training rows that a label needs; rare_labels decides about labels with fewer"
    )
    rare_labels: Literal["drop", "merge"] = Field(
        "drop",
        description="What to do with labels that have fewer than min_label_rows rows: drop removes their "
        "rows, merge combines them into one class, other",
    )
    encoding: str | None = Field(
        None, description="Text encoding of the files; when not given UTF-8, or UTF-16 with a byte order mark"
    )
    delimiter: str | None = Field(
        None, min_length=1, description="Column separator of CSV files, \\t for a tab; detected when not given"
    )
    sheet: str | None = Field(None, description="Sheet of an Excel workbook; the first one when not given")
    query: str | None = Field(None, description="One SELECT on a database; all rows of its only table when not given")
    max_length: int = Field(
        256,
        ge=4,
        description="Maximum number of tokens in an example; longer ones are truncated, and the report counts them",
    )
    streaming: bool = Field(False, description="Read training rows from the disk in training: data larger than memory")
    buffer_rows: int = Field(8192, ge=1, description="With streaming: rows in memory that are shuffled together")
    max_train_rows: int | None = Field(None, ge=2, description="Maximum number of training rows, chosen at random")
    validation_fraction: float = Field(
        0.1, gt=0, lt=0.5, description="Share of train that is split off for validation if no validation part is given"
    )
    test_fraction: float = Field(
        0.15, gt=0, lt=0.5, description="Share of train that is split off for the final test if no test part is given"
    )
    group_column: Name | None = Field(
        None, description="Column of rows that belong together, such as the patient: never divided, resampled whole"
    )
    time_column: Name | None = Field(
        None, description="Column of dates or numbers: the latest rows become the test part, if none is given"
    )
    corrections: str | None = Field(None, description="CSV file of training rows to drop or relabel, as of `repair`")
    deduplicate: bool = Field(True, description="Remove training rows that also occur in a held-out part")
    max_pixels: int = Field(
        120_000_000,
        ge=1,
        description="Maximum number of pixels of a picture; one whose header states more is left out without decoding",
    )
    max_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Maximum length of a recording, in seconds; a longer one is left out without decoding the rest",
    )
    cache_gib: float = Field(
        10.0, ge=0, description="Maximum GiB of model inputs, and of surveys of --streaming, in the cache; 0: none"
    )

    @model_validator(mode="after")
    def _rare_labels_are_counted(self) -> "DataConfig":
        if self.rare_labels == "merge" and self.min_label_rows is None:
            raise ValueError("rare_labels=merge needs min_label_rows, the number of rows that a label needs")
        return self


class LoadingConfig(Section):
    """What loading a checkpoint may do."""

    trust_remote_code: bool = Field(False, description="Run Python code that the checkpoint contains")
    from_scratch: bool = Field(
        False, description="Start from random weights; only the architecture of the checkpoint is used"
    )
    allow_pickle: bool = Field(False, description="Load pickled weights (.bin); they are read with weights_only")


class TrainingConfig(Section):
    """How the model is trained."""

    epochs: float = Field(
        3.0, gt=0, le=1000, description="Passes over the training rows; depends on their number when not given"
    )
    batch_size: int = Field(
        32,
        ge=1,
        description="Examples per optimizer step, over all devices; depends on the number of training "
        "rows when not given",
    )
    budget: Seconds = Field(
        None,
        ge=1,
        le=30 * 24 * 3600,
        description="Time limit for the whole of `finetune`, such as 90s, 5m or 2h, from the start of the "
        "process to its end; no limit when not given",
    )
    micro_batch_size: int | None = Field(
        None, ge=1, description="Examples in one forward pass; batch_size when not given"
    )
    micro_batch_tokens: int | None = Field(
        16384, ge=16, description="Maximum number of tokens in one forward pass; null sets no limit"
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Peak learning rate; 5e-5 × 768 / hidden size when not given, ten times that with "
        "adapters, from scratch (2e-3 at most) and for T5, a fifth for a pretrained Vision Transformer",
    )
    schedule: Literal["linear", "cosine", "inverse-sqrt", "constant"] = Field(
        "linear", description="How the learning rate falls after the warm-up"
    )
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises from 0"
    )
    warmup_steps: int | None = Field(
        None,
        ge=0,
        description="Optimizer steps over which the learning rate rises; from warmup_fraction when not given",
    )
    min_learning_rate_fraction: float = Field(
        0.0, ge=0, le=1, description="Final learning rate of the schedule, as a share of the peak"
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor on the learning rate for each layer further from the head"
    )
    linear_probe: bool = Field(
        True,
        description="Fit a logistic regression on the frozen features first: a baseline, and the initial "
        "weights of the head",
    )
    mean_pooling: bool = Field(
        True,
        description="Add a layer that averages all tokens before the head, if there are few rows and a "
        "logistic regression on the mean is better",
    )
    few_labels: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compare a linear probe, contrastive fine-tuning and fine-tuning by cross-validation "
        "and keep the best; auto does so for texts with 128 labelled rows or 16 a class, or "
        "fewer, unless other settings determine the training",
    )
    freeze: Freeze = Field(
        None,
        description="What to freeze: a number of layers counted from the input (and the embeddings), "
        "embeddings, trunk (all but the head, whose inputs are then computed once), or a "
        "regular expression found in names of parameters",
    )
    weight_decay: float = Field(
        0.01, ge=0, lt=1, description="AdamW's decoupled decay; not applied to biases and norms"
    )
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the first moment")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the second moment")
    adam_epsilon: float = Field(1e-8, gt=0, description="Term that avoids division by zero in Adam")
    max_grad_norm: float = Field(
        1.0, ge=0, description="Maximum 2-norm of the gradients, which are scaled down to it; 0 disables clipping"
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Dropout of hidden states; null: the checkpoint's, or 0 with freeze trunk"
    )
    attention_dropout: float | None = Field(
        0.0, ge=0, lt=1, description="Dropout of attention weights; null keeps the checkpoint's"
    )
    gradient_checkpointing: bool = Field(
        False, description="Store only each layer's input, and recompute the rest later: less memory, more time"
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay, at each optimizer step, of an exponential moving average of the weights; the "
        "average is evaluated and saved",
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="Optimizer steps between validations; each epoch when not given"
    )
    validation_answers: int = Field(
        200, ge=2, description="Maximum number of rows for which a generation task generates text at each validation"
    )
    early_stopping_patience: int | None = Field(
        3,
        ge=1,
        description="Validations without improvement until training stops (null: never; not given: half of all)",
    )
    best_metric: str = Field(
        "loss", description="Validation metric that selects the best checkpoint: loss, or a metric of the recipe"
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Minutes between training states on disk; each validation also writes one"
    )
    seed: int = Field(
        7, ge=0, lt=2**32, description="Seed of the splits, the order of examples, dropout and new weights"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Device for computing; auto selects the fastest one available"
    )
    num_processes: int | None = Field(
        None, ge=1, le=1024, description="Number of processes that share each step; one for each GPU when not given"
    )
    max_restarts: int = Field(
        0, ge=0, le=1000, description="How many times a run whose process was killed starts again from its last state"
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp", description="How several processes share the model: each has all of it (ddp), or a shard (fsdp)"
    )
    gradient_compression: Literal["none", "bf16", "powersgd"] = Field(
        "none", description="Form of the gradients that GPUs exchange: bf16, or factors of low rank (powersgd)"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto is bf16 on a GPU that supports it, else fp32"
    )
    trackers: list[Literal["tensorboard", "trackio", "mlflow", "wandb"]] = Field(
        [], description="Experiment trackers of losses and metrics, as [mlflow]; it and trackio get model and report"
    )
    acceleration: Literal["auto", "off"] = Field(
        "auto",
        description="auto avoids work whose omission changes results only by rounding, such as padding; "
        "off trains and predicts in plain PyTorch: padded batches, every module's own forward "
        "pass, and fp32 where precision is auto",
    )
    attention_kernel: Literal["auto", "varlen", "sdpa", "products"] = Field(
        "auto",
        description="Attention kernel for batches without padding: torch's varlen_attn (NVIDIA GPUs), its "
        "SDPA, or plain matrix products; auto selects one for the device",
    )
    compile: bool | None = Field(
        None,
        description="Compile the layers with torch.compile; when not given, tune_speed decides by measurement",
    )
    tune_speed: bool = Field(
        False,
        description="Measure a few steps with each precision, attention kernel and, in long runs, "
        "compiled layers, once for each machine; explicit settings are kept",
    )


class LossConfig(Section):
    """The training loss; by default the model's own loss."""

    class_weights: ClassWeights = Field(
        None,
        description="Weight of the examples of each class in the loss: balanced (inverse to its frequency "
        "in train), or label → weight, 1 for labels without one",
    )
    logit_adjustment: float | None = Field(
        None,
        ge=0,
        le=2,
        description="τ of the logit adjustment: τ times the logarithm of each class's share is added to "
        "the logits of the loss. 1 aims at balanced accuracy, 0 has no effect; when not "
        "given, the linear probe decides",
    )
    focal_gamma: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Exponent γ of the focal loss, which gives more weight to examples with a high loss; 0 is off",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each label's probability that is distributed evenly over all classes"
    )
    attention_entropy: float = Field(
        0.0,
        ge=-10,
        le=10,
        description="Weight of the mean entropy of attention (in nats) in the loss: above 0 attention "
        "becomes sharper, below 0 more uniform; 0 is off",
    )
    attention_supervision: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight in the loss of the cross entropy (in nats) between uniform attention on the "
        "words of the column rationale and the attention of the last layer's first token; 0 "
        "is off",
    )


class AdapterConfig(Section):
    """Adapters: small trained matrices next to frozen weights; the head is trained in full."""

    kind: Literal["none", "lora", "dora"] = Field("none", description="LoRA, DoRA, or none to train all weights")
    rank: int = Field(8, ge=1, le=1024, description="Rank of the update of each weight matrix")
    alpha: float = Field(16.0, gt=0, description="The update is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of the inputs of the adapters")
    targets: str = Field(
        "all-linear",
        min_length=1,
        description="Layers with an adapter: all-linear, or a regular expression that matches their whole name",
    )


class EvaluationConfig(Section):
    """How the model is evaluated."""

    batch_size: int = Field(64, ge=1, description="Examples in one forward pass")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 is faster where the machine supports it; a few predictions may change by rounding"
    )
    batch_tokens: int | None = Field(
        4096,
        ge=16,
        description="Maximum number of tokens of the examples that are generated at a time; null sets no limit",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of the intervals")
    resamples: int = Field(2000, ge=100, le=100_000, description="Number of bootstrap resamples for the intervals")
    baselines: bool = Field(True, description="Compute the recipe's baselines on the same rows")
    checks: list[Literal["robustness", "bias", "cost", "explanations", "faithfulness"]] = Field(
        [],
        description="Further checks: robustness, bias, cost, explanations (of some correct and some wrong "
        "predictions), faithfulness (of each explanation method, for explain and serve)",
    )
    group_column: Name | None = Field(
        None, description="Column of groups of people, for metrics by group in the bias check (needs fairlearn)"
    )
    query_column: Name | None = Field(
        None,
        description="Column that names the query of each candidate, for NDCG@10, MRR and MAP; the rows of a query are "
        "not divided between splits",
    )
    positive_class: Label | None = Field(
        None, description="Positive class, for sensitivity and specificity at chosen operating points"
    )
    operating_points: list[str] = Field(
        ["sensitivity=0.95", "specificity=0.95"],
        description="Targets for the thresholds, which are chosen on validation rows, as sensitivity=0.95",
    )
    glossary: str | None = Field(
        None, description="CSV or TSV file of terms and their translations, which is checked in generated texts"
    )
    lists: str | None = Field(None, description="YAML file of words and sentences to add to those of the checks")
