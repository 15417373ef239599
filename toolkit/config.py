"""The run's configuration: typed, complete, and refused whole when any part of it is wrong.

A configuration is resolved from layers, each a nested mapping of values, the later ones winning:

    built-in default → recipe default → preset → file → --set → flag

`resolve` returns the configuration together with the layer that each value came from, so that
`toolkit recipes show` can answer "why is this 32?".
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from toolkit.errors import ConfigError

Key = tuple[str, ...]
Layer = tuple[str, Mapping[str, Any]]


def _as_text(value: Any) -> Any:
    """YAML reads the label 1 as a number and true as a boolean; here labels are their written form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _as_class_weights(value: Any) -> Any:
    """Labels may be written as numbers here too; what is neither map nor "balanced" is refused in one sentence."""
    if value is None or value == "balanced":
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be balanced, or a map from labels to weights")
    weights = {_as_text(label): weight for label, weight in value.items()}
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


Text = Annotated[str, BeforeValidator(_as_text)]
ClassWeights = Annotated[Literal["balanced"] | dict[str, float] | None, BeforeValidator(_as_class_weights)]
Freeze = Annotated[int | str | None, BeforeValidator(_as_freeze)]


class Section(BaseModel):
    """A part of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """What to learn from, and how it is divided."""

    source: str = Field(
        "", description="File, folder, Hub data set (org/name[:config][@revision]) or pkg://package/path"
    )
    columns: dict[str, str] = Field(
        {}, description="Role → column of the table, for columns that are not found by name"
    )
    where: dict[str, Text] = Field({}, description="Keep only the rows whose column equals the value")
    label_map: dict[Text, Text | None] = Field({}, description="Label as written → label to learn; null drops the row")
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
    group_column: str | None = Field(
        None, description="Column whose value stays on one side of every border between parts, such as the patient"
    )
    deduplicate: bool = Field(True, description="Remove from train what also stands in a held-out part")
    max_pixels: int = Field(
        120_000_000, ge=1, description="Pixels of a picture; one that says it has more is left out undecoded"
    )
    cache_gib: float = Field(
        10.0, ge=0, description="Disk that model inputs may take in the user's cache folder, in GiB; 0 keeps none"
    )


class LoadingConfig(Section):
    """What a checkpoint may do to this machine."""

    trust_remote_code: bool = Field(False, description="Run Python code that comes with the checkpoint")
    from_scratch: bool = Field(False, description="Begin with random weights: of the checkpoint its form alone is used")
    allow_pickle: bool = Field(False, description="Load pickled weights (.bin); they are read with weights_only")


class TrainingConfig(Section):
    """How the weights move."""

    epochs: float = Field(3.0, gt=0, le=1000, description="Passes over the training rows")
    batch_size: int = Field(32, ge=1, description="Examples an optimizer step sees, over all devices")
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
        description="Peak step size; 5e-5 × 768 / hidden size when not given, ten times that with adapters",
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
        3, ge=1, description="Validations without improvement before training stops; null never stops early"
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
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto is bf16 on a GPU that has it, else fp32"
    )
    trackers: list[Literal["tensorboard", "trackio", "wandb"]] = Field(
        [], description="Trackers that are told losses, learning rates and validation figures, as [tensorboard]"
    )
    tune_speed: bool = Field(
        False, description="With precision auto: measure on a CPU whether bf16 trains faster, once for each machine"
    )


class LossConfig(Section):
    """What is minimised; with nothing set, the model's own loss."""

    class_weights: ClassWeights = Field(
        None,
        description="What an example of each class counts in the loss: balanced (inverse to its frequency in train), "
        "or label → weight, 1 for those not named",
    )
    focal_gamma: float = Field(
        0.0, ge=0, le=10, description="Exponent γ of the focal loss, which turns to examples not yet learned; 0 is off"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each label's probability that is spread evenly over all classes"
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
    checks: list[Literal["robustness", "bias", "cost"]] = Field(
        [], description="What to ask of the model beyond the rows: robustness, bias, cost"
    )
    group_column: str | None = Field(
        None, description="Column that names groups of people, for the bias check's figures by group (needs fairlearn)"
    )
    positive_class: str | None = Field(
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


class RunConfig(Section):
    """Everything that decides a run's outcome."""

    recipe: str = Field(description="Name of a recipe, or the path of a recipe file")
    model: str = Field("distilbert", description="Alias, Hub id (org/name[@revision]), folder or pkg://package/path")
    output: str | None = Field(None, description="Run directory; runs/RECIPE-MODEL-TIME when not given")
    attention: str = Field(
        "dense",
        description="dense, sliding-window:W[:G], block-sparse:B[:R], top-k:K, top-blocks:B:K; FORM+FORM takes turns",
    )
    data: DataConfig = DataConfig()
    loading: LoadingConfig = LoadingConfig()
    training: TrainingConfig = TrainingConfig()
    loss: LossConfig = LossConfig()
    adapter: AdapterConfig = AdapterConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    options: dict[str, Any] = Field({}, description="The recipe's own keys, checked by its Options")


@dataclass(frozen=True)
class Resolved:
    """A configuration and where each of its values came from.

    Attributes:
        config: The complete configuration.
        origins: Dotted key → name of the layer that set it; keys left at their built-in value are absent.
    """

    config: RunConfig
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Name the layer that decided `key`, a dotted leaf such as "training.learning_rate"."""
        return self.origins.get(key, "default")

    def with_values(self, layer: str, values: Mapping[str, Any]) -> "Resolved":
        """Return a copy in which `values`, found out during the run, are set and marked as of `layer`."""
        merged = merge(self.config.model_dump(), values)
        return Resolved(validate(merged), {**self.origins, **{".".join(key): layer for key, _ in leaves(values)}})


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Merge `layers`, the later ones winning, and check the result.

    Args:
        layers: (name, nested values) pairs, lowest first.

    Raises:
        ConfigError: One or more keys or values are wrong; all are named at once.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, layer in layers:
        values = merge(values, layer)
        origins.update({".".join(key): name for key, _ in leaves(layer)})
    return Resolved(validate(values, origins), origins)


def validate(values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> RunConfig:
    """Check nested `values`, naming every mistake at once with the layer it came from."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise _config_error(RunConfig, error, origins or {}) from None


def validate_options(
    model: type[BaseModel], options: Mapping[str, Any], origins: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Check the recipe's own keys against its `Options` and fill in their defaults."""
    try:
        return model.model_validate(options).model_dump()
    except ValidationError as error:
        raise _config_error(model, error, origins or {}, prefix=("options",)) from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged


def leaves(values: Mapping[str, Any], prefix: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield (path, value) for each value of nested mappings; an empty mapping is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*prefix, str(key)))
        else:
            yield (*prefix, str(key)), value


def describe(model: type[BaseModel] = RunConfig, prefix: Key = ()) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, meaning with unit) for each value of the configuration."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from describe(field.annotation, (*prefix, name))
        else:
            yield ".".join((*prefix, name)), field.description or ""


def _config_error(
    model: type[BaseModel], error: ValidationError, origins: Mapping[str, str], prefix: Key = ()
) -> ConfigError:
    known = [key for key, _ in describe(model, prefix)]
    known += dict.fromkeys(key.rpartition(".")[0] for key in known if "." in key)  # the sections themselves
    lines = []
    for fault in error.errors():
        key = ".".join((*prefix, *(str(part) for part in fault["loc"] if part != "[key]")))
        layer = next((name for set_key, name in origins.items() if f"{set_key}.".startswith(f"{key}.")), None)
        origin = f" ({layer})" if layer else ""
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key `{key}`{origin}.{_suggestion(key, known)}")
        elif fault["loc"][-1] == "[key]" and fault["input"] is None:
            section = key.rpartition(".")[0]
            lines.append(f'`{section}`{origin}: a bare null is no name; write "null" in quotes if that is the text.')
        elif fault["type"] == "dict_type":
            lines.append(f"`{key}`{origin}: keys with values are needed, {{KEY: VALUE}}, got {fault['input']!r}.")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            message = said[:1].lower() + said[1:]
            lines.append(f"`{key}`{origin}: {message}, got {fault['input']!r}.")
    count = "One value" if len(lines) == 1 else f"{len(lines)} values"
    return ConfigError(
        f"{count} of the configuration cannot be used:\n" + "\n".join(f"  {line}" for line in lines),
        "`toolkit recipes show RECIPE` lists every key with its value and meaning.",
    )


# Flags that are called otherwise than the keys that they set.
_FLAGS = {"text_column": "data.columns.text", "label_column": "data.columns.label"}


def _suggestion(key: str, known: Sequence[str]) -> str:
    """Find the key that was probably meant: by its whole path first, then by its last part."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    if not near:
        by_name = {name.rpartition(".")[2]: name for name in reversed(known)}
        by_name |= {flag: name for flag, name in _FLAGS.items() if name.rpartition(".")[0] in known}
        near = [by_name[n] for n in difflib.get_close_matches(key.rpartition(".")[2], list(by_name), n=1, cutoff=0.7)]
    return f" Did you mean `{near[0]}`?" if near else ""
