"""The run's configuration: typed, complete, and rejected if any part is invalid.

A configuration is resolved from layers, each a nested mapping of values; later ones override earlier ones:

    built-in default → recipe default → preset → file → --set → flag

`resolve` returns the configuration together with the layer that each value came from, so that
`toolkit recipes show` can answer "why is this 32?".
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError

from toolkit.config.distillation import DistillationConfig
from toolkit.config.own_parts import OwnPartsConfig
from toolkit.config.settings import (
    AdapterConfig,
    DataConfig,
    EvaluationConfig,
    LoadingConfig,
    LossConfig,
    Section,
    TrainingConfig,
)
from toolkit.errors import ConfigError

Key = tuple[str, ...]
Layer = tuple[str, Mapping[str, Any]]
S = TypeVar("S", bound=Section)


class RunConfig(Section):
    """Everything that decides a run's outcome."""

    recipe: str = Field(description="Name of a recipe, or the path of a recipe file")
    model: str = Field("distilbert", description="Alias, Hub id (org/name[@revision]), folder or pkg://package/path")
    output: str | None = Field(None, description="Run directory; runs/RECIPE-MODEL-TIME when not given")
    attention: str = Field(
        "dense",
        description="dense, sliding-window:W[:G], block-sparse:B[:R], top-k:K, top-blocks:B:K; FORM+FORM alternates",
    )
    positions: Literal["repeat", "interpolate"] | None = Field(
        None,
        description="How learned positions are lengthened to data.max_length: repeat or interpolate; when not given, "
        "repeat with a sparse attention and not at all with a dense one",
    )
    data: DataConfig = DataConfig()
    loading: LoadingConfig = LoadingConfig()
    training: TrainingConfig = TrainingConfig()
    loss: LossConfig = LossConfig()
    distillation: DistillationConfig = DistillationConfig()
    adapter: AdapterConfig = AdapterConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    own: OwnPartsConfig = OwnPartsConfig()
    options: dict[str, Any] = Field({}, description="The recipe's own keys, checked by its Options")


@dataclass(frozen=True)
class Resolved:
    """A configuration and where each of its values came from.

    Attributes:
        config: The complete configuration.
        origins: Dotted key → name of the layer that set it; keys left at their built-in value are absent. The name of a
            layer that follows from the data or the model begins with "from", and may end in a colon and the rule.
    """

    config: RunConfig
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Name the layer that decided `key`, a dotted leaf such as "training.learning_rate"."""
        return self.origins.get(key, "default")

    def layer(self, key: str) -> str:
        """Return the origin of `key` without its rule."""
        return self.origin(key).partition(":")[0]

    def automatic(self) -> dict[str, str]:
        """Return the keys whose values follow from the data or the model, each with its origin."""
        return {key: origin for key, origin in self.origins.items() if origin.startswith("from ")}

    def with_values(self, layer: str, values: Mapping[str, Any]) -> "Resolved":
        """Return a copy in which `values`, determined during the run, are set and marked as from `layer`."""
        merged = merge(self.config.model_dump(), values)
        return Resolved(validate(merged), {**self.origins, **{".".join(key): layer for key, _ in leaves(values)}})


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Merge `layers`, of which later ones override earlier ones, and check the result.

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


def validate_section(model: type[S], values: Mapping[str, Any], subject: str) -> S:
    """Check the values of a file that is not a run's configuration, naming every mistake at once.

    Args:
        model: Its keys.
        values: Nested values.
        subject: What the file is, for the message.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _config_error(model, error, {}, subject=subject) from None


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
        section = _section(field.annotation)
        if section is not None:
            yield from describe(section, (*prefix, name))
        else:
            yield ".".join((*prefix, name)), field.description or ""


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, as it is, in a list or optionally; None where it holds a value."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _config_error(
    model: type[BaseModel],
    error: ValidationError,
    origins: Mapping[str, str],
    prefix: Key = (),
    subject: str = "the configuration",
) -> ConfigError:
    known = [key for key, _ in describe(model, prefix)]
    known += dict.fromkeys(key.rpartition(".")[0] for key in known if "." in key)  # the sections themselves
    lines = []
    for fault in error.errors():
        key = ".".join((*prefix, *(str(part) for part in fault["loc"] if part != "[key]")))
        layer = next((name for set_key, name in origins.items() if f"{set_key}.".startswith(f"{key}.")), None)
        if prefix == ("options",) and layer == "--set":  # options of recipes on the command line arrive here, too
            layer = f"{key.replace('options.', '--', 1).replace('_', '-')} or --set"
        origin = f" ({layer})" if layer else ""
        if fault["type"] == "extra_forbidden":
            unnumbered = ".".join((*prefix, *(part for part in fault["loc"] if isinstance(part, str))))
            lines.append(f"unknown key `{key}`{origin}.{_suggestion(unnumbered, known)}")
        elif not fault["loc"]:
            lines.append(f"{fault['msg'].removeprefix('Value error, ')}.")
        elif fault["loc"][-1] == "[key]" and fault["input"] is None:
            section = key.rpartition(".")[0]
            lines.append(f'`{section}`{origin}: a bare null is no name; write "null" in quotes if that is the text.')
        elif fault["type"] == "dict_type":
            lines.append(f"`{key}`{origin}: keys with values are needed, {{KEY: VALUE}}, got {fault['input']!r}.")
        else:
            message_text = fault["msg"].removeprefix("Value error, ")
            message = message_text[:1].lower() + message_text[1:]
            lines.append(f"`{key}`{origin}: {message}, got {fault['input']!r}.")
    fix = "`toolkit recipes show RECIPE` lists every key with its value and meaning."
    if not issubclass(model, RunConfig) and not prefix:
        fix = f"The keys are {', '.join(name for name, _ in describe(model))}."
    only_keys = all(fault["type"] == "extra_forbidden" for fault in error.errors())
    count = "One value" if len(lines) == 1 else f"{len(lines)} values"
    return ConfigError(
        f"{count} of {subject} cannot be used:\n" + "\n".join(f"  {line}" for line in lines),
        fix,
        id="config.unknown-key" if only_keys else "config.invalid-value",
    )


# Flags whose names differ from the keys that they set.
_FLAGS = {"text_column": "data.columns.text", "label_column": "data.columns.label"}


def _suggestion(key: str, known: Sequence[str]) -> str:
    """Find the key that was probably intended: by its whole path first, then by its last part."""
    flags = {
        f"{name.partition('.')[0]}.{flag}": name for flag, name in _FLAGS.items() if name.rpartition(".")[0] in known
    }
    paths = {**{name: name for name in known}, **flags}
    near = [paths[path] for path in difflib.get_close_matches(key, list(paths), n=1, cutoff=0.8)]
    if not near:
        by_name = {path.rpartition(".")[2]: name for path, name in reversed(paths.items())}
        near = [by_name[n] for n in difflib.get_close_matches(key.rpartition(".")[2], list(by_name), n=1, cutoff=0.7)]
    return f" Did you mean `{near[0]}`?" if near else ""
