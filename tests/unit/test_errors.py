"""Every error has an identifier that the catalogue lists, and the page of errors is the catalogue."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import error_page
from toolkit import errors
from toolkit.errors import DataError, Interrupted, ToolkitError

ROOT = Path(error_page.CATALOGUE).parents[1]
FILES = [*sorted((ROOT / "toolkit").rglob("*.py")), *sorted((ROOT / "recipes").rglob("*.py"))]
CLASSES = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
IDENTIFIER = re.compile(r"[a-z]+\.[a-z]+(-[a-z]+)*")


def identifiers() -> set[str]:
    return {f"{area}.{name}" for area, entries in error_page.catalogue().items() for name in entries if name != "about"}


def raising(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that make an error: of a class, of an argument that is one, of `super()` in a class of errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in CLASSES:
            yield node
        elif isinstance(node, ast.FunctionDef):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            given = {item.arg for item in every if item.annotation and _is_class(item.annotation)}
            yield from (n for n in ast.walk(node) if isinstance(n, ast.Call) and _name(n.func) in given)
        elif isinstance(node, ast.ClassDef) and any(_name(base) in CLASSES for base in node.bases):
            calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
            yield from (n for n in calls if ast.unparse(n.func) == "super().__init__")


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_class(annotation: ast.expr) -> bool:
    names = {_name(node) for node in ast.walk(annotation) if isinstance(node, ast.expr)}
    return "type" in names and not names.isdisjoint(CLASSES)


def literals(value: ast.expr) -> list[str] | None:
    """Return the identifiers that are written out in a value; None where one is built at run time.

    Another error's, `error.id`, is passed on and counts as written.
    """
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=first, orelse=second):
            both = literals(first), literals(second)
            return None if None in both else [*(both[0] or ()), *(both[1] or ())]
        case ast.Attribute(attr="id"):
            return []
    return None


def given(call: ast.Call) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == "id"), None)


def written(tree: ast.AST) -> set[str]:
    """Return the identifiers that a module writes out, those of tables and classes included."""
    values = [given(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    results = {text for value in values if value is not None for text in literals(value) or ()}
    general = [n.value for n in ast.walk(tree) if isinstance(n, ast.Assign) and _name(n.targets[0]) == "general_id"]
    return {text for text in results if IDENTIFIER.fullmatch(text)} | {ast.literal_eval(value) for value in general}


def trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def faults(tree: ast.AST) -> list[int]:
    """Return the lines of the errors that have no identifier, or one that is built at run time."""
    own = [call for call in raising(tree) if (value := given(call)) is None or literals(value) is None]
    return [call.lineno for call in own]


def test_every_error_has_an_identifier_that_is_written_out():
    parsed = {name: tree for name, tree in trees().items() if name != "toolkit/errors.py"}
    assert sum(len(list(raising(tree))) for tree in parsed.values()) > 400
    assert {name: lines for name, tree in parsed.items() if (lines := faults(tree))} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("raise DataError('a', 'b')", [1]),
        ("raise errors.DataError('a', 'b')", [1]),
        ("raise DataError('a', 'b', id=f'data.{x}')", [1]),
        ("raise DataError('a', 'b', id='data.other' if x else y)", [1]),
        ("raise DataError('a', 'b', id=table[x])", [1]),
        ("def f(kind: type[CallError] | type[RunError]):\n    return kind('a', 'b')", [2]),
        ("class Mine(RunError):\n    def __init__(self):\n        super().__init__('a', 'b')", [3]),
        ("raise DataError('a', 'b', id='data.other' if x else 'data.no-rows')", []),
        ("raise DataError('a', 'b', id=error.id)", []),
        ("def f(kind: type[CallError]):\n    return kind('a', 'b', id='hub.gated')", []),
        ("raise ValueError('a', 'b')", []),
    ],
)
def test_the_reading_of_errors_sees_what_is_there(source, lines):
    assert faults(ast.parse(source)) == lines


def test_catalogue_lists_the_identifiers_that_are_raised_and_no_others():
    raised = set.union(*map(written, trees().values()))
    assert raised - identifiers() == set()
    assert identifiers() - raised == set()
    assert len(raised) > 150


def test_identifiers_have_one_form_and_a_whole_entry():
    assert [name for name in identifiers() if not IDENTIFIER.fullmatch(name)] == []
    for area, entries in error_page.catalogue().items():
        assert list(entries) == ["about", *sorted(set(entries) - {"about"})], area
        for name, entry in entries.items():
            texts = [entry] if name == "about" else [entry["cause"], entry["fix"]]
            assert all(text.endswith(".") and "|" not in text for text in texts), f"{area}.{name}"


def test_page_is_the_catalogue():
    assert error_page.PAGE.read_text(encoding="utf-8") == error_page.page(), "run `make docs`"


def test_errors_of_older_recipes_have_the_identifier_of_their_class():
    assert DataError("no rows", "give some").id == "data.other"
    assert Interrupted("stopped", "go on").id == "run.interrupted"
    assert {kind.general_id for kind in CLASSES.values() if issubclass(kind, ToolkitError)} <= identifiers()


def test_identifier_survives_another_process():
    copy = pickle.loads(pickle.dumps(DataError("no rows", "give some", id="data.no-rows")))
    assert (copy.id, copy.problem, copy.fix) == ("data.no-rows", "no rows", "give some")
