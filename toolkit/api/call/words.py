"""The arguments of a call: their conversion to configuration layers, and to the equivalent command line.

A keyword argument has the name of the command's option: `--batch-size` is `batch_size`, `--set` is `set`.
"""

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from toolkit.config import leaves, merge
from toolkit.config.files import parse_assignments, read_file
from toolkit.config.option_names import KEYS
from toolkit.config.own_parts import SECTION, split_attention
from toolkit.errors import ConfigError
from toolkit.tasks import catalogue

OPTIONS = {"form": "to", "class_": "class", "tool": "for"}  # words with another name on the command line

Settings = Mapping[str, Any] | Sequence[str]  # what `set` takes

_LETS_CODE_RUN = {
    "trust_remote_code": "--trust-remote-code",
    "allow_pickle": "`--set loading.allow_pickle=true`",
}


def flags(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that set configuration values, as dotted key → value; None where not given."""
    given = {KEYS[word]: _plain(value) for word, value in words.items() if word in KEYS}
    return {key: None if value is False else value for key, value in given.items()}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def assignments(given: Settings | None) -> list[str]:
    """Return what `set` takes as texts KEY=VALUE, in which a value is YAML.

    Args:
        given: Dotted key → value, or such texts.
    """
    if given is None:
        return []
    if not isinstance(given, Mapping):
        return list(given)
    return [f"{key}={_written(value)}" for key, value in given.items()]


def _written(value: Any) -> str:
    value = value.item() if hasattr(value, "item") else _plain(value)  # a number of NumPy's
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def layers(
    flags: Mapping[str, Any],
    preset: str | None = None,
    config_file: str | Path | None = None,
    assignments: Sequence[str] | None = None,
) -> list[tuple[str, dict[str, Any]]]:
    """Return the user's layers of the configuration, lowest first.

    Args:
        flags: Dotted key → value; None means the flag was not given.
        preset: Name of a preset.
        config_file: YAML file.
        assignments: Texts KEY=VALUE.

    Raises:
        ConfigError: A flag and an assignment give one key different values, a file or text cannot be read, or a file
            lets code run.
    """
    layers_found: list[tuple[str, dict[str, Any]]] = []
    if preset:
        layers_found.append((f"preset {preset}", _without_recipe(read_file(catalogue.find_preset(preset)))))
    if config_file:
        layers_found.append((f"file {config_file}", _without_recipe(read_file(Path(config_file)))))
    if assignments:
        layers_found.append(("--set", _with_own_attention(parse_assignments(list(assignments)))))
    given: dict[str, Any] = {}
    for dotted, value in flags.items():
        if value is not None:
            nested: Any = value
            for key in reversed(dotted.split(".")):
                nested = {key: nested}
            given = merge(given, nested)
    given = _with_own_attention(given)
    assigned = dict(leaves(layers_found[-1][1])) if assignments else {}
    for path, value in leaves(given):
        if path in assigned and assigned[path] != value:
            raise ConfigError(
                f"`{'.'.join(path)}` is given twice: {value!r} by a flag, and {assigned[path]!r} by --set.",
                "Give it once.",
                id="config.given-twice",
            )
    if config_file:
        _check_file(config_file, layers_found, assigned.keys() | {key for key, _ in leaves(given)})
    return [*layers_found, ("flag", given)]


def _with_own_attention(values: dict[str, Any]) -> dict[str, Any]:
    """Return typed values in which a form of attention that is a function is named as a part of one's own."""
    text = values.get("attention")
    short, parts = split_attention(text) if isinstance(text, str) else (text, [])
    if not parts:
        return values
    named = (values.get(SECTION) or {}).get("attention") or []
    return merge(values, {"attention": short, SECTION: {"attention": [*named, *parts]}})


def _check_file(file: str | Path, layers: list[tuple[str, dict[str, Any]]], typed: Collection[tuple[str, ...]]) -> None:
    """Refuse a file that allows code to run unless the command line does, too: the file may be from elsewhere."""
    values = dict(layers)[f"file {file}"]
    if values.get(SECTION):
        raise ConfigError(
            f"{file} sets `{SECTION}`, which names code to run. Only the command line may do that.",
            f"If you trust that code, add `--set {SECTION}.…` to the command, and remove the key from the file.",
            id="config.trust-in-file",
        )
    loading = values.get("loading")
    for key, option in _LETS_CODE_RUN.items():
        if isinstance(loading, dict) and loading.get(key) and ("loading", key) not in typed:
            raise ConfigError(
                f"{file} sets `loading.{key}`, which lets a checkpoint run code. Only the command line may allow that.",
                f"If you trust that code, add {option} to the command; otherwise remove the key from the file.",
                id="config.trust-in-file",
            )


def merged(
    flags: Mapping[str, Any], assignments: Sequence[str] | None, config_file: str | Path | None = None
) -> dict[str, Any]:
    """Return file, assignments and flags as one nested mapping, to override the values stored with a model."""
    values: dict[str, Any] = {}
    for _, layer in layers(flags, config_file=config_file, assignments=assignments):
        values = merge(values, layer)
    return values


def _without_recipe(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out the recipe that a preset names; the call names the recipe itself."""
    return {key: value for key, value in values.items() if key != "recipe"}


def names(given: str | Sequence[str] | None, known: tuple[str, ...]) -> list[str] | None:
    """Return the names in a list, or in a text with commas; "all" means every known one, and no text none at all.

    Raises:
        ConfigError: A name is not known.
    """
    if given is None:
        return None
    listed = given.split(",") if isinstance(given, str) else given
    stripped = [name.strip() for name in listed if name.strip()]
    if stripped == ["all"]:
        return list(known)
    for name in stripped:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f" Did you mean `{near[0]}`?" if near else ""
            raise ConfigError(
                f"There is no `{name}`.{guess}",
                f"Give some of {', '.join(known)}, separated by commas, or all.",
                id="config.unknown-choice",
            )
    return stripped


def target_of(run: Any) -> str:
    """Return the argument of the command line for a run: its path, or the name of a model."""
    return str(getattr(run, "path", run)) if not isinstance(run, Path) else str(run)


def own_recipe(recipe: str) -> list[str]:
    """Return the option by which later commands find the recipe: none for an installed one."""
    return [] if recipe in catalogue.available() else ["--recipe", recipe]


def command_line(verb: str, arguments: Sequence[str], words: Mapping[str, Any]) -> str:
    """Return the command line that is equivalent to a call.

    Args:
        verb: The command.
        arguments: Its positional arguments.
        words: The keyword arguments, as they were given; None and False were not.
    """
    parts = ["toolkit", verb, *arguments]
    for word, value in words.items():
        option = f"--{OPTIONS.get(word, word).replace('_', '-')}"
        if value is None or value is False:
            continue
        if value is True:
            parts.append(option)
        elif word == "checks":
            parts += [option, value if isinstance(value, str) else ",".join(value)]
        elif isinstance(value, Mapping):
            parts += [part for text in assignments(value) for part in (option, text)]
        elif isinstance(value, list | tuple):
            parts += [part for item in value for part in (option, str(item))]
        else:
            parts += [option, str(value)]
    return shlex.join(parts)
