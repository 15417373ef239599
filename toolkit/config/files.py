"""The configuration as people write it: YAML files, and KEY=VALUE on the command line."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import yaml

from toolkit.config import RunConfig, merge
from toolkit.errors import ConfigError

_ASSIGNMENT = re.compile(r'((?:[^="]|"[^"]*")+)=(.*)', re.DOTALL)  # a quoted key may contain =
DEPTH = 100  # maximum depth of nesting
MOST_VALUES = 100_000  # in one file, at one depth
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Reads plain words as YAML 1.2 does: yes, no, on, off, dates, 12:30 and 0123 are texts, 1e-4 is a number.

    A duplicate key is refused, since only the second would count.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping without duplicate keys."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key `{key.value}` is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


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


def read_file(path: Path) -> dict[str, Any]:
    """Read a configuration or preset file (YAML, nested keys)."""
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, _Loader)
        if is_deep(values, most=MOST_VALUES):
            raise RecursionError
    except RecursionError:
        raise ConfigError(
            f"{path} nests its values too deeply, or repeats them too often.",
            "Write `key: value` lines.",
            id="config.nested-too-deeply",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"The configuration {path} cannot be read: {error.strerror}.",
            "Check the path.",
            id="config.file-unreadable",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        # An error at the end belongs to the last line with content.
        where = f", line {min(mark.line, text.rstrip().count(chr(10))) + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where} is not valid YAML{_reason(error)}.",
            "Compare with `toolkit recipes show`; keys are `name: value`.",
            id="config.invalid-yaml",
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds a {type(values).__name__}, not keys with values.",
            "Write `key: value` lines.",
            id="config.invalid-yaml",
        )
    return values


def is_deep(values: Any, most: int | None = None) -> bool:
    """Whether values are nested deeper than `DEPTH`, or more than `most` are at one depth, since aliases multiply them.

    Values too deep for Python's stack can be neither read, compared nor written.
    """
    level = [values]
    for _ in range(DEPTH):
        inner = (
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        )
        level = list(islice(chain.from_iterable(inner), None if most is None else most + 1))
        if most is not None and len(level) > most:
            return True
        if not level:
            return False
    return True


def _reason(error: Exception) -> str:
    problem = getattr(error, "problem", None)
    return f": {problem}" if problem else ""


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `--set training.epochs=5` texts into nested values; the value is read as YAML.

    A key under a mapping may hold dots of its own when quoted: `data.label_map."4.5"=positive`.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        parts = _ASSIGNMENT.fullmatch(assignment)
        keys = _split_key(parts[1].strip()) if parts else []
        if parts is None or not keys:
            raise ConfigError(
                f"`--set {assignment}` is not KEY=VALUE.",
                "Write for example `--set training.epochs=5`.",
                id="config.malformed-assignment",
            )
        *sections, last = keys
        nested = {last: _read_value(parts[2], assignment)}
        for key in reversed(sections):
            nested = {key: nested}
        values = merge(values, nested)
    return values


def _read_value(written: str, assignment: str) -> Any:
    """Read a value as YAML; invalid YAML, such as a bare | or #, is the text itself."""
    try:
        value = yaml.load(written, _Loader)
        if is_deep(value, most=MOST_VALUES):
            raise RecursionError
    except RecursionError:
        raise ConfigError(
            f"`--set {assignment[:60]} …` nests values too deeply.", "Write it flat.", id="config.nested-too-deeply"
        ) from None
    except yaml.YAMLError as error:
        meant = written.strip()
        if len(meant) > 1 and (meant.startswith("{") or meant.endswith("}")):
            raise ConfigError(
                f"`--set {assignment}` cannot be read{_reason(error)}.",
                "Close all brackets and quotes, and put the whole in single quotes: "
                "--set 'data.label_map={bad: negative, good: positive}'.",
                id="config.malformed-assignment",
            ) from None
        return written
    return written if value in (None, "") and written not in ("null", "~", "''", '""') else value


def _split_key(dotted: str) -> list[str]:
    parts: list[str] = []
    for index, piece in enumerate(dotted.split('"')):
        parts += [piece] if index % 2 else [part for part in piece.split(".") if part]
    return parts


def to_yaml(config: RunConfig) -> str:
    """Write the complete configuration as YAML that `--config` reads back to the same."""
    return values_to_yaml(config.model_dump())


def values_to_yaml(values: Mapping[str, Any]) -> str:
    """Write nested values as YAML that `read_file` reads back to the same."""
    text = yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    if any(mark in text for mark in "\x85\u2028\u2029"):  # YAML would read these as ends of lines
        return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False)
    return text
