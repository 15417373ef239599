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
    """Labels may be written as numbers here too; what is neither map nor "balanced" is refused in one sentence."""
    if value is None or value == "balanced":
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be balanced, or a map from labels to weights")
    weights = {_as_label(label): weight for label, weight in value.items()}
    if not all(isinstance(w, int | float) and not isinstance(w, bool) and w >= 0 for w in weights.values()):
        raise ValueError("the weights of classes must be numbers that are not negative")
    if not any(weights.values()):
        raise ValueError("one class at least must weigh something")
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
    """What to learn from, and how it is divided."""

    source: str = Field(
        "", description="File, folder, Hub data set (org/name[:config][@revision]) or pkg://package/path"
    )
    columns: dict[str, Name] = Field(
        {}, description="Role → column of the table, for columns that are not found by name"
    )
    column_names: list[Name] = Field(
        [], description="Names of the columns, in their order, of CSV and text files without a line of names"
    )
    where: dict[Name, Label] = Field({}, description="Keep only the rows whose column equals the value")
    label_map: dict[Label, Label | None] = Field(
        {}, description="Label as written → label to learn; null drops the row"
    )
    min_label_rows: int | None = Field(
        None, ge=1, description="Rows to learn from that a label must have; rarer ones go where rare_labels says"
    )
    rare_labels: Literal["drop", "merge"] = Field(
        "drop",
        description="What becomes of labels with fewer than min_label_rows rows: drop leaves their rows out, merge "
        "makes them one class, other",
    )
    encoding: str | None = Field(
        None, description="Text encoding of the files; UTF-8, or UTF-16 with a mark, when not given"
    )
    delimiter: str | None = Field(
        None, min_length=1, description="Column separator of CSV files, \\t for a tab; found when not given"
    )
    max_length: int = Field(256, ge=4, description="Tokens an example may have; what is longer is cut, and reported")
    max_train_rows: int | None = Field(None, ge=2, description="Train on this many rows at most, chosen at random")
    validation_fraction: float = Field(
        0.1, gt=0, lt=0.5, description="Share of train carved off for validation if none is given"
    )
    test_fraction: float = Field(
        0.15, gt=0, lt=0.5, description="Share of train carved off for the final test if none is given"
    )
    group_column: Name | None = Field(
        None, description="Column whose value stays on one side of every border between parts, such as the patient"
    )
    deduplicate: bool = Field(True, description="Remove from train what also stands in a held-out part")
    max_pixels: int = Field(
        120_000_000, ge=1, description="Pixels of a picture; one that says it has more is left out undecoded"
    )
    cache_gib: float = Field(
        10.0, ge=0, description="Disk that model inputs may take in the user's cache folder, in GiB; 0 keeps none"
    )

    @model_validator(mode="after")
    def _rare_labels_are_counted(self) -> "DataConfig":
        if self.rare_labels == "merge" and self.min_label_rows is None:
            raise ValueError("rare_labels=merge needs min_label_rows, the rows that a label must have to stay alone")
        return self


class LoadingConfig(Section):
    """What a checkpoint may do to this machine."""

    trust_remote_code: bool = Field(False, description="Run Python code that comes with the checkpoint")
    from_scratch: bool = Field(False, description="Begin with random weights: of the checkpoint its form alone is used")
    allow_pickle: bool = Field(False, description="Load pickled weights (.bin); they are read with weights_only")


class TrainingConfig(Section):
    """How the weights move."""

    epochs: float = Field(
        3.0, gt=0, le=1000, description="Passes over the training rows; by their number when not given"
    )
    batch_size: int = Field(
        32, ge=1, description="Examples an optimizer step sees, over all devices; by the training rows when not given"
    )
    budget: Seconds = Field(
        None,
        ge=1,
        le=30 * 24 * 3600,
        description="Time that the whole of `finetune` may take, such as 90s, 5m or 2h, from the start of the process "
        "to its end; no limit when not given",
    )
    micro_batch_size: int | None = Field(
        None, ge=1, description="Examples in one forward pass; batch_size when not given"
    )
    micro_batch_tokens: int | None = Field(
        16384, ge=16, description="Tokens in one forward pass, filled up example by example; null sets no limit"
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Peak step size; 5e-5 × 768 / hidden size when not given, ten times that with adapters, from "
        "scratch (2e-3 at most) and for T5",
    )
    schedule: Literal["linear", "cosine", "inverse-sqrt", "constant"] = Field(
        "linear", description="How the learning rate falls after the warm-up"
    )
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises from 0"
    )
    warmup_steps: int | None = Field(
        None, ge=0, description="Optimizer steps over which it rises; warmup_fraction decides when not given"
    )
    min_learning_rate_fraction: float = Field(
        0.0, ge=0, le=1, description="Share of the peak learning rate that the schedule falls to"
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor on the learning rate for each layer further from the head"
    )
    linear_probe: bool = Field(
        True,
        description="Fit a logistic regression on the frozen features first: a baseline, and where the head begins",
    )
    mean_pooling: bool = Field(
        True,
        description="Let the head read the mean of all tokens, by a layer that is added, where rows are few and a "
        "logistic regression on the mean is better",
    )
    few_labels: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compare a linear probe, contrastive fine-tuning and fine-tuning by cross-validation and keep the "
        "best; auto does so for texts with 128 labelled rows or 16 a class, or fewer, where nothing else says how to "
        "train",
    )
    freeze: Freeze = Field(
        None,
        description="What stays as it is: a number of layers from the input up (and the embeddings), embeddings, "
        "trunk (all but the head, whose inputs are then computed once), or a regular expression found in names of "
        "parameters",
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="AdamW's decoupled decay; biases and norms are spared")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the first moment")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="Decay of the second moment")
    adam_epsilon: float = Field(1e-8, gt=0, description="Term that keeps Adam's division from zero")
    max_grad_norm: float = Field(1.0, ge=0, description="Gradients are scaled down to this 2-norm; 0 leaves them alone")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Dropout of the hidden states; the checkpoint's when not given"
    )
    attention_dropout: float | None = Field(
        0.0, ge=0, lt=1, description="Dropout of attention weights; null takes the checkpoint's"
    )
    gradient_checkpointing: bool = Field(
        False, description="Keep only each layer's input and compute the rest again: less memory, more time"
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Weight of the past, at each optimizer step, in a running average of the weights; "
        "the average is what is judged and saved",
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="Optimizer steps between validations; each epoch when not given"
    )
    validation_answers: int = Field(
        200, ge=2, description="Rows at most that a task which writes its answers writes at each validation"
    )
    early_stopping_patience: int | None = Field(
        3,
        ge=1,
        description="Validations without improvement before training stops, null never; half of all when not given",
    )
    best_metric: str = Field(
        "loss", description="Validation figure that picks the best checkpoint: loss, or a metric of the recipe"
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Minutes between states of training on disk; one is written at each validation as well"
    )
    seed: int = Field(
        7, ge=0, lt=2**32, description="Seed of the splits, the order of examples, dropout and new weights"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Where to compute; auto takes the fastest present"
    )
    num_processes: int | None = Field(
        None, ge=1, le=1024, description="Processes that share each step; one for each GPU when not given"
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp", description="What several processes do: ddp, each keeps the whole model; fsdp, each a slice of it"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto is bf16 on a GPU that has it, else fp32"
    )
    trackers: list[Literal["tensorboard", "trackio", "wandb"]] = Field(
        [], description="Trackers that are told losses, learning rates and validation figures, as [tensorboard]"
    )
    acceleration: Literal["auto", "off"] = Field(
        "auto",
        description="auto saves work that changes results by rounding alone, such as padding; off trains and predicts "
        "in plain PyTorch: padded batches, every module's own forward pass, and fp32 where precision is auto",
    )
    attention_kernel: Literal["auto", "varlen", "sdpa", "products"] = Field(
        "auto",
        description="What attends in batches without padding: torch's varlen_attn (NVIDIA GPUs), its SDPA, or plain "
        "matrix products; auto takes what suits the device",
    )
    compile: bool | None = Field(
        None,
        description="Let torch.compile make the layers' code; when not given, as tune_speed finds that it pays back",
    )
    tune_speed: bool = Field(
        False,
        description="Measure a few steps of each precision, attention kernel and, in long runs, of compiled layers, "
        "once for each machine; what is set otherwise is kept",
    )


class LossConfig(Section):
    """What is minimised; with nothing set, the model's own loss."""

    class_weights: ClassWeights = Field(
        None,
        description="What an example of each class counts in the loss: balanced (inverse to its frequency in train), "
        "or label → weight, 1 for those not named",
    )
    logit_adjustment: float | None = Field(
        None,
        ge=0,
        le=2,
        description="How far frequent classes are held back in training: τ times the logarithm of their share is added "
        "to the logits of the loss. 1 finds rare classes as readily as frequent ones, 0 does nothing; when not given, "
        "the linear probe decides",
    )
    focal_gamma: float = Field(
        0.0, ge=0, le=10, description="Exponent γ of the focal loss, which turns to examples not yet learned; 0 is off"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each label's probability that is spread evenly over all classes"
    )
    attention_entropy: float = Field(
        0.0,
        ge=-10,
        le=10,
        description="Added to the loss for each nat of attention's mean entropy: above 0 attention grows sharp, below "
        "0 it spreads; 0 is off",
    )
    attention_supervision: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Added to the loss for each nat between an even attention on the words of the column rationale and "
        "that of the last layer's first token; 0 is off",
    )


class AdapterConfig(Section):
    """Train small matrices beside frozen weights; the head is trained in full."""

    kind: Literal["none", "lora", "dora"] = Field("none", description="LoRA, DoRA, or none to train the weights")
    rank: int = Field(8, ge=1, le=1024, description="Rank of the update of each weight matrix")
    alpha: float = Field(16.0, gt=0, description="The update is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of what goes into the adapters")
    targets: str = Field(
        "all-linear",
        min_length=1,
        description="Which layers get one: all-linear, or a regular expression that their whole name matches",
    )


class EvaluationConfig(Section):
    """How the result is judged."""

    batch_size: int = Field(64, ge=1, description="Examples in one forward pass")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 asks faster where the machine has it, and rounds: a few answers may turn"
    )
    batch_tokens: int | None = Field(
        4096, ge=16, description="Tokens of the examples that answers are written to at a time; null sets no limit"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the intervals")
    resamples: int = Field(2000, ge=100, le=100_000, description="Bootstrap resamples behind the intervals")
    baselines: bool = Field(True, description="Compute the recipe's baselines on the same split")
    checks: list[Literal["robustness", "bias", "cost", "explanations", "faithfulness"]] = Field(
        [],
        description="What to ask of the model beyond the rows: robustness, bias, cost, explanations (what some right "
        "and some wrong answers rest on), faithfulness (of each method of explaining, for explain and serve)",
    )
    group_column: Name | None = Field(
        None, description="Column that names groups of people, for the bias check's figures by group (needs fairlearn)"
    )
    positive_class: Label | None = Field(
        None, description="Class that is to be found, for sensitivity and specificity at chosen operating points"
    )
    operating_points: list[str] = Field(
        ["sensitivity=0.95", "specificity=0.95"],
        description="What the thresholds chosen on validation rows are to reach, as sensitivity=0.95",
    )
    glossary: str | None = Field(
        None, description="CSV or TSV file of terms and how they are to be translated, checked in written answers"
    )
    lists: str | None = Field(None, description="YAML file of words and sentences to add to those of the checks")
