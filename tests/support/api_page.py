"""Write docs/api.md from the docstrings of the package: `python -m tests.support.api_page`."""

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any

import toolkit
from toolkit import errors
from toolkit.api import results

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
HEAD = """\
# Python API

Every function of `toolkit`, what it returns, and the errors that it raises. [python.md](python.md) shows how they are
used together, and [commands.md](commands.md) has the command of the same name.

`make docs` writes this page from the docstrings.
"""
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)
TITLES = {"Args": "argument", "Attributes": "attribute", "Raises": "error"}


def page() -> str:
    """Return the page in Markdown."""
    functions = [getattr(toolkit, name) for name in toolkit.__all__ if inspect.isroutine(getattr(toolkit, name))]
    kinds = [getattr(errors, name) for name, value in vars(errors).items() if isinstance(value, type)]
    problems = [kind for kind in kinds if issubclass(kind, errors.ToolkitError)]
    return "\n".join(
        [
            *(HEAD, "## Functions\n", *map(_function, functions)),
            *("## Results\n", *map(_class, _results(functions))),
            *("## Errors\n", "All are in `toolkit.errors`; [errors.md](errors.md) lists the identifiers.\n"),
            *(_errors(problems), ""),
        ]
    )


def _results(functions: list[Callable[..., Any]]) -> list[type]:
    """Return the classes that functions return, and those that these have as values, by name."""
    classes = {getattr(results, name) for name in results.__all__}
    for function in functions:
        classes.update(_classes(inspect.signature(function).return_annotation))
    for found in list(classes):
        for name, member in vars(found).items():
            function = _property(member) or member
            if not name.startswith("_") and inspect.isfunction(function):
                classes.update(_classes(inspect.signature(function).return_annotation))
    return sorted(classes, key=lambda item: item.__name__)


def _classes(annotation: Any) -> Iterator[type]:
    """Yield the toolkit's classes that are in the annotation of a return value."""
    if isinstance(annotation, UnionType) or typing.get_origin(annotation) is not None:
        for part in typing.get_args(annotation):
            yield from _classes(part)
    elif isinstance(annotation, type) and annotation.__module__.startswith("toolkit."):
        yield annotation


def _function(function: Callable[..., Any]) -> str:
    return f"### {function.__name__}\n\n{_signature(function)}\n\n{_described(function)}"


def _class(found: type) -> str:
    parts = [f"### {found.__name__}\n", _described(found)]
    inherited = [base.__name__ for base in found.__bases__ if base.__module__.startswith("toolkit.")]
    if inherited:
        parts.append(f"Has everything that {' and '.join(f'`{name}`' for name in inherited)} has.\n")
    rows = []
    for name, member in vars(found).items():
        function = _property(member)
        if not name.startswith("_") and function is not None and function.__doc__:
            rows.append(f"| `{name}` | {_cell(SECTION.sub('', inspect.getdoc(function) or ''))} |")
    if rows:
        parts.append("\n".join(["| property | value |", "| --- | --- |", *rows, ""]))
    for name, member in vars(found).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            parts.append(f"**{found.__name__}.{name}**\n\n{_signature(member)}\n\n{_described(member)}")
    return "\n".join(parts)


def _property(member: Any) -> Callable[..., Any] | None:
    """Return the function behind a property, if it is one."""
    return getattr(member, "fget", None) or (member.func if isinstance(member, cached_property) else None)


def _signature(function: Callable[..., Any]) -> str:
    """Return the call with a parameter for each line, in Python's notation."""
    signature = inspect.signature(function)
    lines = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            lines.append("    *,")
        lines.append(f"    {parameter.replace(annotation=_plain(parameter.annotation))},")
    returned = _plain(signature.return_annotation)
    inner = "\n".join(["(", *lines, ")"]) if lines else "()"
    return f"```python\n{function.__name__}{inner} -> {returned}\n```"


class _Text(str):
    """An annotation whose representation is its text."""

    def __repr__(self) -> str:
        return str(self)


def _plain(annotation: Any) -> Any:
    """Return an annotation without the names of modules."""
    if annotation is inspect.Parameter.empty:
        return annotation
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _Text(re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", written))


def _described(documented: Any) -> str:
    """Return a docstring of Google's style as Markdown: its sections as tables."""
    text = inspect.getdoc(documented) or ""
    parts = [SECTION.sub("", text + "\n").strip(), ""]
    for title, body in SECTION.findall(text + "\n"):
        entries = _entries(inspect.cleandoc(body)) if title in TITLES else []
        if entries:
            rows = [f"| `{name}` | {_cell(meaning)} |" for name, meaning in entries]
            parts += [f"| {TITLES[title]} | meaning |", "| --- | --- |", *rows, ""]
        else:
            parts += [f"Returns: {' '.join(body.split())}", ""]
    return "\n".join(parts)


def _entries(body: str) -> list[tuple[str, str]]:
    """Return name → meaning of a section whose lines below an entry are indented."""
    entries: list[tuple[str, str]] = []
    for line in body.splitlines():
        name, colon, meaning = line.partition(": ")
        if colon and re.fullmatch(r"[\w*]+", name):
            entries.append((name, meaning))
        elif entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
    return entries


def _errors(kinds: list[type]) -> str:
    rows = [f"| `{kind.__name__}` | {_first(kind)} | `{kind.__bases__[0].__name__}` |" for kind in kinds]
    return "\n".join(["| error | meaning | is a |", "| --- | --- | --- |", *rows])


def _first(documented: Any) -> str:
    return _cell((inspect.getdoc(documented) or "").partition("\n")[0])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
