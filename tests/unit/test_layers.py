"""Imports go downward only, heavy libraries are imported late, and only the command line prints."""

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import toolkit

ROOT = Path(toolkit.__file__).parent
MODULES = {
    path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", "."): path
    for path in sorted(ROOT.rglob("*.py"))
}

# Each floor may use its own rooms (training may be used by evaluation) and those below, and never one above.
FLOORS = (
    ("errors", "config", "environment", "runs.lock", "runs.trust"),
    ("tasks", "sources", "runs", "distributed"),
    (
        *("attention", "model_metadata", "data", "checkpoints", "models", "weights", "metrics", "seq2seq"),
        *("compatibility", "hub.responses", "hub.benchmarks"),
    ),
    ("events", "training", "inference", "evaluation", "explanation", "exporting"),
    ("report", "hub", "tasks.inputs", "tasks.targets", "tasks.loading", "tasks.old_names"),
    ("commands", "doctor", "serve"),
    ("api",),
    ("cli", "__main__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PROGRAMS = {"toolkit.exporting.run"}  # copied beside an export, and run there by itself
HEAVY = {"torch", "transformers", "datasets", "evaluate", "peft", "sklearn", "accelerate"}


def room(module: str) -> str:
    """toolkit.data.sources.local_files → data; a part of a room on another floor has a name of its own.

    toolkit itself holds only the version and a lazy public API.
    """
    parts = [part for part in module.split(".")[1:] if part not in ("__init__", "__version__")]
    part = ".".join(parts[:2])
    return part if part in FLOOR else ".".join(parts[:1])


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the modules that a statement imports; "from toolkit import models" imports toolkit.models."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute, so that they can be read"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def used(module: str) -> set[str]:
    """Return the toolkit's rooms that a module imports, inside functions too."""
    names = {name for node in ast.walk(tree(module)) for name in imported(node)}
    return {room(name) for name in names if name.split(".")[0] == "toolkit"} - {""}


def used_modules(module: str) -> set[str]:
    """Return the modules that a module imports, and what it imports from them, with their full names."""
    return {name for node in ast.walk(tree(module)) for name in imported(node)}


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, whatever they are nested in."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types_only(node):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from at_import(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from at_import(handler.body)


def _for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def test_every_module_has_a_floor():
    files = [name for _, _, names in os.walk(ROOT) for name in names if name.endswith(".py")]
    assert len(MODULES) == len(files) > 40
    assert [module for module in MODULES if room(module) not in FLOOR and module != "toolkit.__init__"] == []


def test_the_reading_of_imports_sees_what_is_there():
    """A check that sees nothing passes everything."""
    assert {"config", "tasks", "sources", "errors"} <= used("toolkit.data.sources.acquire")
    assert sum(len(used(module)) for module in MODULES) > 100
    nested = ast.parse("def f():\n    from toolkit import cli\nimport toolkit.data.sources.local_files\n")
    assert {name for node in ast.walk(nested) for name in imported(node)} == {
        "toolkit.cli",
        "toolkit.data.sources.local_files",
    }


@pytest.mark.parametrize("module", [module for module in MODULES if room(module)])
def test_imports_go_downward(module):
    above = {other for other in used(module) if FLOOR.get(other, len(FLOORS)) > FLOOR[room(module)]}
    assert not above, f"{module} stands below {', '.join(sorted(above))}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_imported_inside_functions(module):
    early = {name.split(".")[0] for node in at_import(tree(module).body) for name in imported(node)}
    assert not early & HEAVY


def test_the_reading_of_early_imports_sees_what_runs():
    source = (
        "import torch\ntry:\n    import peft\nexcept ImportError:\n    import evaluate\nclass A:\n    import sklearn\n"
    )
    source += "def f():\n    import datasets\nif TYPE_CHECKING:\n    import transformers\n"
    early = {name for node in at_import(ast.parse(source).body) for name in imported(node)}
    assert early == {"torch", "peft", "evaluate", "sklearn"}


def speaks(module_tree: ast.Module) -> bool:
    """Whether anything prints: a call of print, typer, rich.print or a standard stream's write."""
    calls = [ast.unparse(node.func) for node in ast.walk(module_tree) if isinstance(node, ast.Call)]
    names = {name.split(".")[0] for node in ast.walk(module_tree) for name in imported(node)}
    return "typer" in names or any(
        call in ("print", "sys.stdout.write", "sys.stderr.write", "sys.exit") for call in calls
    )


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) not in FLOORS[-1] and m not in PROGRAMS])
def test_only_the_command_line_prints_or_exits(module):
    assert not speaks(tree(module))


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_program_beside_an_export_needs_nothing_of_the_toolkit(program):
    roots = {name.split(".")[0] for node in ast.walk(tree(program)) for name in imported(node)}
    assert roots - sys.stdlib_module_names == {"numpy", "onnxruntime", "tokenizers"}
    assert not [module for module in MODULES if program in used_modules(module)]


def test_the_command_line_does_print():
    assert speaks(tree("toolkit.cli.console"))
    assert speaks(ast.parse("def f():\n    print(1)"))
    assert not speaks(ast.parse("def f():\n    pprint(1)"))


# Comparisons of kinds outside tasks/: module → how many, and why they are there.
KINDS_COMPARED = {
    "toolkit.cli.inspect": (2, "how lengths are printed"),
    "toolkit.commands.explain.examples": (1, "explanations score words or patches"),
    "toolkit.commands.explain.images": (1, "explanations score words or patches"),
    "toolkit.commands.explain.inputs": (2, "explanations score words or patches"),
    "toolkit.commands.explain.measure": (1, "explanations score words or patches"),
    "toolkit.commands.explain.service": (2, "explanations score words or patches"),
    "toolkit.commands.inspect_images": (1, "a contact sheet is of images"),
    "toolkit.data.tables.columns": (1, "classes are found under the names of their column"),
    "toolkit.report.pages.explanation": (1, "explanations score words or patches"),
    "toolkit.report.sections.checks": (1, "reports hold the kind of input by name"),
    "toolkit.report.sections.findings": (1, "reports hold the kind of input by name"),
}
_KINDS = {
    *("WORD", "PATCH", "TEXT", "WORDS", "IMAGE", "PHRASES", "SINGLE_LABEL", "TOKEN_LABELS", "GENERATED_TEXT"),
    *("Input", "Target", "Auxiliary"),
}
_NAMES = {"text", "words", "image", "audio", "label", "labels", "target_text", "phrases", "word", "patch", "pixels"}


def compared_kinds(module_tree: ast.Module) -> Iterator[str]:
    """Yield the comparisons of a column's kind: with a kind, with the name of one, or by isinstance."""
    for node in ast.walk(module_tree):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            parts = node.args
        else:
            continue
        inside = [item for part in parts for item in ast.walk(part)]
        names = {item.id for item in inside if isinstance(item, ast.Name)}
        names |= {item.attr for item in inside if isinstance(item, ast.Attribute)}
        strings = {item.value for item in inside if isinstance(item, ast.Constant)}
        requested = (names | strings) & {"kind", "unit", "modality"}
        if names & _KINDS or (requested and (strings & (_NAMES | {"tokens"}))):
            yield ast.unparse(node)


def test_kinds_are_compared_in_tasks_alone():
    results = {
        module: len(list(compared_kinds(tree(module))))
        for module in MODULES
        if room(module).partition(".")[0] != "tasks"
    }
    assert {module: count for module, count in results.items() if count} == {
        module: count for module, (count, _) in KINDS_COMPARED.items()
    }
    assert sum(count for count, _ in KINDS_COMPARED.values()) < 15


@pytest.mark.parametrize(
    "source",
    ["column.kind == 'text'", "c.kind in ('text', 'words')", "isinstance(column.kind, Target)", "x.unit is PATCH"],
)
def test_the_reading_of_comparisons_sees_each(source):
    assert len(list(compared_kinds(ast.parse(source)))) == 1


def test_no_function_takes_more_than_ten_parameters():
    """What travels together is a dataclass; the command line and the API have a parameter for each option."""
    long = []
    for module in MODULES:
        if room(module) in ("cli", "api"):
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if len([item for item in given if item.arg not in ("self", "cls")]) > 10:
                    long.append(f"{module}.{node.name}")
    assert long == []
