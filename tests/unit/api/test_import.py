"""Importing the package imports nothing heavy, and its public names exist."""

import subprocess
import sys
from pathlib import Path

import pytest

import toolkit

HEAVY = ("torch", "transformers", "datasets", "evaluate", "peft", "sklearn", "accelerate", "pandas", "typer")
SEEN = "import sys; print(*(name for name in sys.argv[1:] if name in sys.modules))"


def loaded_by(statement: str) -> list[str]:
    """Return which heavy libraries a statement imports in a new process."""
    program = [sys.executable, "-c", f"{statement}; {SEEN}", *HEAVY]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()


def test_the_check_sees_an_import():
    assert "sklearn" in loaded_by("import sklearn")


def test_the_package_imports_nothing_heavy():
    assert loaded_by("import toolkit") == []
    assert loaded_by(f"from toolkit import {', '.join(toolkit.__all__)}") == []


def test_no_module_has_the_name_of_a_function():
    """Python puts a module that it imports in the place of a function of the same name."""
    assert not {path.stem for path in Path(toolkit.__file__).parent.iterdir()} & set(toolkit.__all__)


def test_each_name_is_there_whatever_was_imported_before():
    program = "import toolkit.cli, toolkit.commands.explain.run, toolkit.commands.export, toolkit.commands.inspect"
    program += "\nimport toolkit\nassert all(callable(getattr(toolkit, name)) for name in toolkit.__all__)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert set(toolkit.__all__) <= set(dir(toolkit))
    with pytest.raises(AttributeError, match="fintune"):
        _ = toolkit.fintune
