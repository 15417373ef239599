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
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from toolkit.errors import ConfigError

Key = tuple[str, ...]
Layer = tuple[str, Mapping[str, Any]]


def _as_text(value: Any) -> Any:
    """YAML reads the label 1 as a number and true as a boolean; here labels are their written form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_as_text)]

_ASSIGNMENT = re.compile(r'((?:[^="]|"[^"]*")+)=(.*)', re.DOTALL)  # an = may stand inside a quoted key
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Reads plain words as YAML 1.2 does: yes, no, on, off, dates, 12:30 and 0123 are texts, 1e-4 is a number."""


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back to the same."""


for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag.removeprefix(_TAG) in ("null", "merge")]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _kind.add_implicit_resolver(f"{_TAG}bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    _kind.add_implicit_resolver(f"{_TAG}int", re.compile("^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
    _kind.add_implicit_resolver(
        f"{_TAG}float",
        re.compile(r"^[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$"),
        list("-+.0123456789"),
    )


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
    deduplicate: bool = Field(True, description="Remove from train what also stands in a held-out part")


class LoadingConfig(Section):
    """What a checkpoint may do to this machine."""

    trust_remote_code: bool = Field(False, description="Run Python code that comes with the checkpoint")
    allow_pickle: bool = Field(False, description="Load pickled weights (.bin); they are read with weights_only")


class TrainingConfig(Section):
    """How the weights move."""

    epochs: float = Field(3.0, gt=0, le=1000, description="Passes over the training rows")
    batch_size: int = Field(32, ge=1, description="Examples an optimizer step sees, over all devices")
    micro_batch_size: int | None = Field(
        None, ge=1, description="Examples in one forward pass; batch_size when not given"
    )
    learning_rate: float | None = Field(
        None, gt=0, lt=1, description="Peak step size; 5e-5 × 768 / hidden size when not given"
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="How the learning rate falls after the warm-up"
    )
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises from 0"
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
    evaluate_every: int | None = Field(
        None, ge=1, description="Optimizer steps between validations; each epoch when not given"
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
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto is bf16 on a GPU that has it, else fp32"
    )
    tune_speed: bool = Field(
        False, description="With precision auto: measure on a CPU whether bf16 trains faster, once for each machine"
    )


class EvaluationConfig(Section):
    """How the result is judged."""

    batch_size: int = Field(64, ge=1, description="Examples in one forward pass")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the intervals")
    resamples: int = Field(2000, ge=100, le=100_000, description="Bootstrap resamples behind the intervals")
    baselines: bool = Field(True, description="Compute the recipe's baselines on the same split")


class RunConfig(Section):
    """Everything that decides a run's outcome."""

    recipe: str = Field(description="Name of a recipe, or the path of a recipe file")
    model: str = Field("distilbert", description="Alias, Hub id (org/name[@revision]), folder or pkg://package/path")
    output: str | None = Field(None, description="Run directory; runs/RECIPE-MODEL-TIME when not given")
    data: DataConfig = DataConfig()
    loading: LoadingConfig = LoadingConfig()
    training: TrainingConfig = TrainingConfig()
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


def validate_options(model: type[BaseModel], options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the recipe's own keys against its `Options` and fill in their defaults."""
    try:
        return model.model_validate(options).model_dump()
    except ValidationError as error:
        raise _config_error(model, error, {}, prefix=("options",)) from None


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


def read_file(path: Path) -> dict[str, Any]:
    """Read a configuration or preset file (YAML, nested keys)."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(
            f"The configuration {path} cannot be read: {error.strerror}.", "Check the path after --config."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where} is not valid YAML.", "Compare with `toolkit recipes show`; keys are `name: value`."
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}, not keys with values.", "Write `key: value` lines.")
    return values


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `--set training.epochs=5` texts into nested values; the value is read as YAML.

    A key under a mapping may hold dots of its own when quoted: `data.label_map."4.5"=positive`.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        parts = _ASSIGNMENT.fullmatch(assignment)
        keys = _split_key(parts[1].strip()) if parts else []
        if parts is None or not keys:
            raise ConfigError(f"`--set {assignment}` is not KEY=VALUE.", "Write for example `--set training.epochs=5`.")
        *sections, last = keys
        nested = {last: _read_value(parts[2])}
        for key in reversed(sections):
            nested = {key: nested}
        values = merge(values, nested)
    return values


def _read_value(written: str) -> Any:
    """Read a value as YAML; what is none, such as a bare | or #, is the text itself."""
    try:
        value = yaml.load(written, _Loader)
    except yaml.YAMLError:
        return written
    return written if value in (None, "") and written not in ("null", "~", "''", '""') else value


def _split_key(dotted: str) -> list[str]:
    parts: list[str] = []
    for index, piece in enumerate(dotted.split('"')):
        parts += [piece] if index % 2 else [part for part in piece.split(".") if part]
    return parts


def to_yaml(config: RunConfig) -> str:
    """Write the complete configuration as YAML that `--config` reads back to the same."""
    values = config.model_dump()
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    if any(mark in text for mark in "\x85\u2028\u2029"):  # YAML would read these as ends of lines
        return yaml.dump(values, Dumper=_Dumper, sort_keys=False)
    return text


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
        origin = f" ({origins[key]})" if key in origins else ""
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key `{key}`{origin}.{_suggestion(key, known)}")
        else:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
            lines.append(f"`{key}`{origin}: {message}, got {fault['input']!r}.")
    count = "One value" if len(lines) == 1 else f"{len(lines)} values"
    return ConfigError(
        f"{count} of the configuration cannot be used:\n" + "\n".join(f"  {line}" for line in lines),
        "`toolkit recipes show RECIPE` lists every key with its value and meaning.",
    )


def _suggestion(key: str, known: Sequence[str]) -> str:
    """Find the key that was probably meant: by its whole path first, then by its last part."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    if not near:
        by_name = {name.rpartition(".")[2]: name for name in reversed(known)}
        near = [by_name[n] for n in difflib.get_close_matches(key.rpartition(".")[2], list(by_name), n=1, cutoff=0.7)]
    return f" Did you mean `{near[0]}`?" if near else ""
