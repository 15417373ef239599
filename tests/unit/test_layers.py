"""Imports go downward only, heavy libraries are imported late, and only the command line prints."""

import ast
import os
import sys
from collections import Counter
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
    ("errors", "config", "environment", "choices", "model_names", "runs.lock", "runs.trust"),
    ("tasks", "sources", "runs", "distributed"),
    (
        *("attention", "model_metadata", "data", "checkpoints", "models", "weights", "metrics", "seq2seq"),
        *("compatibility", "families", "hub.responses", "hub.benchmarks"),
    ),
    ("events", "training", "inference", "evaluation", "explanation", "exporting"),
    (
        "report",
        "hub",
        "tasks.inputs",
        "tasks.targets",
        "tasks.parts",
        "tasks.loading",
        "tasks.old_names",
        "tasks.own_parts",
    ),
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


def test_modules_and_folders_keep_their_size():
    """A module over 400 lines is two things; a folder of many modules has parts."""
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > 400} == {}
    folders = Counter(path.parent.relative_to(ROOT) for path in MODULES.values() if path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > 12} == {}


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
    "toolkit.commands.explain.inputs": (2, "explanations score words or patches"),
    "toolkit.commands.inspect_images": (1, "a contact sheet is of images"),
    "toolkit.report.pages.attention.explanation": (1, "a page draws words or patches"),
    "toolkit.report.pages.usage": (3, "a program for each task that the Hub has"),
    "toolkit.report.sections.checks": (1, "reports hold the kind of input by name"),
    "toolkit.report.sections.findings": (1, "reports hold the kind of input by name"),
}
# Flags of targets that are read outside tasks/: module → how many, and why.
FLAGS_READ = {
    "toolkit.commands.explain.inputs": (1, "explanations of generated texts are alignments"),
    "toolkit.data.batching.vocabulary": (1, "models that generate texts may spell by design"),
    "toolkit.data.tables.encode_labels": (1, "a cell with separators holds several labels"),
    "toolkit.evaluation.checks.generation_quality": (1, "the check is of generated texts"),
    "toolkit.evaluation.context": (1, "claims about generated texts take a part of the error"),
}
_KINDS = {
    *("WORD", "PATCH", "TEXT", "WORDS", "IMAGE", "AUDIO", "PHRASES", "SINGLE_LABEL", "TOKEN_LABELS", "GENERATED_TEXT"),
    *("HISTORY", "ITEM", "MULTI_LABEL", "ORDINAL", "NUMBER"),
    *("Input", "Target", "Auxiliary"),
}
_NAMES = {
    *("text", "words", "image", "audio", "label", "labels", "target_text", "phrases", "word", "patch", "pixels"),
    *("tokens", "translation", "text-classification", "image-classification", "token-classification"),
    "audio-classification",
}
_FLAGS = {"single", "exclusive", "classes", "written", "generates", "few_labels"}
_OWNERS = {"kind", "target", "task", "column", "input"}


def compared_kinds(module_tree: ast.Module) -> Iterator[str]:
    """Yield what differs by a column's kind.

    These are comparisons with a kind, or with the name of one, `in`, isinstance, match, and tables looked up by it.
    """
    for node in ast.walk(module_tree):
        if isinstance(node, ast.Compare):
            parts: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            parts = [*node.args]
        elif isinstance(node, ast.Match):
            parts = [node.subject, *(case.pattern for case in node.cases)]
        elif _looks_up(node):
            yield ast.unparse(node)
            continue
        else:
            continue
        inside = [one for part in parts for one in ast.walk(part)]
        names = {one.id for one in inside if isinstance(one, ast.Name)}
        names |= {one.attr for one in inside if isinstance(one, ast.Attribute)}
        strings = {one.value for one in inside if isinstance(one, ast.Constant)}
        asked = (names | strings) & {"kind", "unit", "modality", "task"} or any(
            isinstance(one, ast.Attribute) and one.attr == "name" and _owner(one) in _OWNERS for one in inside
        )
        if names & _KINDS or (asked and strings & _NAMES):
            yield ast.unparse(node)


def _looks_up(node: ast.AST) -> bool:
    """Whether a table is looked up by a kind: TITLES[column.kind.name], titles.get(result["kind"])."""
    if isinstance(node, ast.Subscript):
        key: ast.AST = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        key = node.args[0]
    else:
        return False
    if isinstance(key, ast.Subscript) and isinstance(key.slice, ast.Constant):
        return key.slice.value in ("kind", "unit", "modality")
    return isinstance(key, ast.Attribute) and (
        key.attr in ("kind", "modality") or (key.attr in ("name", "unit") and _owner(key) in _OWNERS)
    )


def _owner(node: ast.Attribute) -> str:
    """column.kind.single → kind."""
    return ast.unparse(node.value).rpartition(".")[2]


def flags_read(module_tree: ast.Module) -> Iterator[str]:
    """Yield the flags that say of which kind a target is."""
    for node in ast.walk(module_tree):
        if isinstance(node, ast.Attribute) and node.attr in _FLAGS and _owner(node) in _OWNERS | {"recipe"}:
            yield ast.unparse(node)


@pytest.mark.parametrize(("read", "known"), [(compared_kinds, KINDS_COMPARED), (flags_read, FLAGS_READ)])
def test_kinds_are_compared_in_tasks_alone(read, known):
    found = {module: len(list(read(tree(module)))) for module in MODULES if room(module).partition(".")[0] != "tasks"}
    assert {module: count for module, count in found.items() if count} == {
        module: count for module, (count, _) in known.items()
    }


def test_few_places_ask_for_kinds():
    assert sum(count for known in (KINDS_COMPARED, FLAGS_READ) for count, _ in known.values()) < 15


@pytest.mark.parametrize(
    "source",
    [
        *("column.kind == 'text'", "c.kind in ('text', 'words')", "isinstance(column.kind, Target)", "x.unit is PATCH"),
        *("column.kind.name == 'text'", "'image' in task.modality", "kind in (TEXT, WORDS)", "TITLES[kind.modality]"),
        *("titles.get(result['kind'])", "match column.kind.name:\n    case 'text': pass", "not isinstance(x, Input)"),
    ],
)
def test_the_reading_of_comparisons_sees_each(source):
    assert len(list(compared_kinds(ast.parse(source)))) == 1


@pytest.mark.parametrize("source", ["if recipe.target.single: pass", "x = column.kind.classes and y", "task.written"])
def test_the_reading_of_flags_sees_each(source):
    assert len(list(flags_read(ast.parse(source)))) == 1
    assert not list(flags_read(ast.parse("time_budget.written(3), self.classes, run.single")))


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
