"""Nothing is imported from the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit
from toolkit import __main__
from toolkit.distributed import launcher


@pytest.fixture
def paths(monkeypatch, tmp_path):
    """Give the places before the standard library and PYTHONPATH; return what is left of the places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    (tmp_path / "link").symlink_to(tmp_path)

    def left(before, named=""):
        standard = str(Path(os.__file__).parent)
        monkeypatch.setenv("PYTHONPATH", named)
        monkeypatch.setattr(sys, "path", [*before, standard, str(tmp_path)])
        __main__.leave_folder_out()
        assert os.environ["PYTHONSAFEPATH"] == "1"
        assert sys.path[-2:] == [standard, str(tmp_path)]  # what was installed stays
        return sys.path[:-2]

    return left


def test_the_folder_is_left_out_however_it_is_written(paths, tmp_path):
    assert paths([str(tmp_path), "/usr/x"]) == ["/usr/x"]
    assert paths(["", ".", str(tmp_path / "link"), "/usr/x"], named=os.pathsep) == ["/usr/x"]


def test_a_folder_that_is_named_in_full_stays(paths, tmp_path):
    assert paths([str(tmp_path), "/usr/x"], named=f"{tmp_path}/") == [str(tmp_path), "/usr/x"]


def test_a_process_of_a_run_imports_this_toolkit_and_nothing_from_here(tmp_path):
    for name in ("toolkit", "datasets", "json", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')", encoding="utf-8")
    program = launcher.program()
    program[-1] = program[-1].replace(
        "; main()", "; import toolkit, typer, json, sys; print(toolkit.__file__, sys.path)"
    )
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(program, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(toolkit.__file__)
    assert str(tmp_path) not in done.stdout


def test_another_package_of_the_name_is_named(tmp_path):
    (tmp_path / "toolkit").mkdir()
    other = tmp_path / "toolkit" / "__init__.py"
    other.write_text("__version__ = '9'", encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; sys.argv = ['toolkit', 'runs']; "
    program += f"runpy.run_path({__main__.__file__!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert str(other) in done.stderr
    assert "Traceback" not in done.stderr
