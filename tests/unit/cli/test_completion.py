"""What the shell completes, and that it does not wait for heavy packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.cli import completion

PROGRAM = "import sys; from toolkit.cli import app; sys.argv = ['toolkit']; app(prog_name='toolkit')"


def completed(words: str, cwd: Path) -> tuple[list[str], set[str]]:
    """Return what bash is offered for a command line, and the packages that were imported for it."""
    count = len(words.split()) - (not words.endswith(" "))
    variables = {"_TOOLKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    watched = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", watched],
        env={**os.environ, **variables, "PYTHONPATH": str(Path(completion.__file__).parents[2])},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines(), set(done.stderr.split())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}", encoding="utf-8")
    os.utime(tmp_path / "runs" / "first", (1, 1))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("toolkit finetune senti", ["sentiment"]),
        ("toolkit finetune sentiment --model mini", ["minilm"]),
        ("toolkit finetune sentiment --preset ", ["lora"]),
        ("toolkit finetune sentiment --set training.learning", ["training.learning_rate="]),
        ("toolkit finetune translation --set options.sou", ["options.source="]),
        ("toolkit finetune sentiment --attention slid", ["sliding-window:"]),
        ("toolkit evaluate runs/", ["runs/second", "runs/first"]),
        ("toolkit evaluate runs/first --checks bias,rob", ["bias,robustness"]),
        ("toolkit compare runs/f", ["runs/first"]),
    ],
)
def test_names_are_completed_without_heavy_packages(place: Path, words: str, expected: list[str]) -> None:
    offered, imported = completed(words, place)
    assert set(expected) <= set(offered), offered
    assert [name for name in offered if name in expected] == expected
    heavy = {"torch", "transformers", "pyarrow", "pandas", "numpy", "sklearn", "scipy", "datasets"}
    assert imported & heavy == set()


def test_forms_follow_a_plus_and_checks_are_not_repeated() -> None:
    assert completion.attention("dense+top-") == ["dense+top-k:", "dense+top-blocks:"]
    others = ("robustness", "cost", "explanations", "faithfulness", "all")
    assert completion.checks("bias,") == [f"bias,{name}" for name in others]
    assert "bias,bias" not in completion.checks("bias,")
