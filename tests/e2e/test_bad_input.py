"""Every mistake of a user ends in one message with a fix and the documented exit code."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import environment, start, toolkit
from tests.support.hub import LocalHub

GOOD_ROWS = "".join(
    f"a {word} film number {n},{label}\n" for n in range(20) for word, label in (("good", "pos"), ("bad", "neg"))
)

TABLES = {
    "broken quotes": ('text,label\n"a good film,pos\n' + GOOD_ROWS, "data.broken-quotes", "table.csv:2"),
    "too many fields": ("text,label\nfine,pos,extra\n" + GOOD_ROWS, "data.wrong-row-width", "table.csv:2"),
    "one class only": ("text,label\n" + "".join(f"film {n},pos\n" for n in range(30)), "label.one-class", "`pos`"),
    "a label that appears once": ("text,label\n" + GOOD_ROWS + "odd one,rare\n", "label.too-rare", "`rare`"),
    "mostly empty texts": ("text,label\n" + ",pos\n,neg\n" * 20, "data.empty-column", "--text-column"),
    "no text column": ("foo,label\n" + GOOD_ROWS, "data.column-unrecognized", "--text-column"),
    "no label column": ("text,review_id\n" + GOOD_ROWS, "data.column-unrecognized", "--label-column"),
    "labels that are no labels": (
        "text,label\n" + "".join(f"film {n},word {n}\n" for n in range(90)),
        "label.too-many-classes",
        "90 different values",
    ),
    "exchanged columns": (
        "label,text\n" + "".join(f"film {n},{n % 2}\n" for n in range(90)),
        "label.too-many-classes",
        "swapped",
    ),
    "no rows": ("text,label\n", "data.no-rows", "table.csv"),
    "nothing at all": ("", "data.no-rows", "0 bytes"),
}


@pytest.mark.parametrize("name", TABLES)
def test_bad_tables(name: str, tiny_distilbert: Path, tmp_path: Path) -> None:
    content, identifier, fact = TABLES[name]
    (tmp_path / "table.csv").write_text(content, encoding="utf-8")
    outcome = toolkit("finetune", "sentiment", "--model", tiny_distilbert, "--data", "table.csv", cwd=tmp_path)
    refused(outcome, identifier, fact, tmp_path)


def refused(outcome, identifier: str, fact: str, cwd: Path, code: int = 2) -> None:
    """One message with an identifier, the right code, no traceback, and nothing left behind."""
    assert outcome.code == code, outcome.text
    assert f"Error [{identifier}]: " in outcome.err
    assert fact in outcome.err
    assert "→" in outcome.err
    assert "Traceback" not in outcome.text
    assert not list(cwd.glob("runs/*/model"))


def test_binary_inputs_are_rejected(tiny_distilbert: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes("text,label\ncafé crème brûlée déjà vu,pos\n".encode("cp1252") * 30)
    outcome = toolkit("finetune", "sentiment", "--model", tiny_distilbert, "--data", "table.csv", cwd=tmp_path)
    refused(outcome, "data.wrong-encoding", "data.encoding=", tmp_path)


CALLS = {
    "a missing file": (["--data", "reviws.csv"], "source.file-missing", "reviews.csv"),
    "a column that is not there": (
        ["--data", "reviews.csv", "--text-column", "txt"],
        "data.column-missing",
        "Did you mean `text`",
    ),
    "a label outside the mapping": (
        ["--data", "reviews.csv", "--set", "data.label_map={positive: good}"],
        "label.not-mapped",
        "`negative`",
    ),
    "an output that is a file, in a dry run": (
        ["--data", "nothere.csv", "--output", "reviews.csv", "--dry-run"],
        "output.is-file",
        "reviews.csv",
    ),
    "a misspelt key": (
        ["--data", "reviews.csv", "--set", "training.learning_rte=1"],
        "config.unknown-key",
        "Did you mean `training.learning_rate`",
    ),
    "a value out of range": (["--data", "reviews.csv", "--epochs", "-1"], "config.invalid-value", "training.epochs"),
    "an option of no recipe": (["--data", "reviews.csv", "--set", "options.beams=4"], "config.unknown-key", "beams"),
    "a metric that is not computed": (
        ["--data", "reviews.csv", "--set", "training.best_metric=bleu"],
        "config.unknown-choice",
        "accuracy",
    ),
    "too long an input": (
        ["--data", "reviews.csv", "--max-length", "4096"],
        "config.too-long-for-model",
        "512",
    ),
    "a device that is not there": (
        ["--data", "reviews.csv", "--set", "training.device=tpu"],
        "config.invalid-value",
        "training.device",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_calls(name: str, tiny_distilbert: Path, tmp_path: Path) -> None:
    arguments, identifier, fact = CALLS[name]
    checkpoints.reviews(tmp_path / "reviews.csv", 60)
    outcome = toolkit("finetune", "sentiment", "--model", tiny_distilbert, *arguments, cwd=tmp_path)
    refused(outcome, identifier, fact, tmp_path)


def test_config_errors_are_listed_together(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("training:\n  epoch: 3\n  batch_size: 0\nmodle: bert\n", encoding="utf-8")
    outcome = toolkit("finetune", "sentiment", "--config", "mine.yaml", cwd=tmp_path)
    refused(outcome, "config.invalid-value", "training.epochs", tmp_path)
    assert "training.batch_size" in outcome.err
    assert "`model`" in outcome.err


def test_missing_recipe_is_rejected(tmp_path: Path) -> None:
    refused(toolkit("finetune", "sentimnt", cwd=tmp_path), "recipe.unknown-name", "Did you mean `sentiment`", tmp_path)
    refused(toolkit("finetune", "./mine.py", cwd=tmp_path), "recipe.file-missing", "mine.py", tmp_path)


def test_broken_recipe_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("DEFAULTS = {}\nCOLUMNS = undefined\n", encoding="utf-8")
    refused(toolkit("finetune", "./mine.py", cwd=tmp_path), "recipe.cannot-run", "line 2", tmp_path)
    (tmp_path / "mine.py").write_text("DEFAULTS = {}\n", encoding="utf-8")
    refused(toolkit("finetune", "./mine.py", cwd=tmp_path), "recipe.incomplete", "METRICS", tmp_path)


def test_folders_without_a_model_are_rejected(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    (tmp_path / "empty").mkdir()
    outcome = toolkit("finetune", "sentiment", "--model", "./empty", "--data", table, cwd=tmp_path)
    refused(outcome, "model.not-a-model", "config.json", tmp_path)
    pickled = shutil.copytree(tiny_distilbert, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    outcome = toolkit("finetune", "sentiment", "--model", pickled, "--data", table, cwd=tmp_path)
    refused(outcome, "model.unsafe-weights", "pytorch_model.bin", tmp_path)
    cut = shutil.copytree(tiny_distilbert, tmp_path / "cut")
    with (cut / "model.safetensors").open("r+b") as stream:
        stream.truncate(1_000_000)
    outcome = toolkit("finetune", "sentiment", "--model", cut, "--data", table, cwd=tmp_path)
    refused(outcome, "model.weights-damaged", "cut", tmp_path)


def test_missing_model_without_network_fails_fast(tmp_path: Path) -> None:
    began = time.monotonic()
    outcome = toolkit("finetune", "sentiment", "--model", "bert", cwd=tmp_path, env={"HF_HOME": str(tmp_path / "hf")})
    refused(outcome, "hub.unreachable", "minilm", tmp_path)
    assert outcome.cpu_seconds < 5
    assert time.monotonic() - began < 30  # a hang, not a slow machine


def test_unresponsive_network_counts_as_none(tmp_path: Path) -> None:
    import socket

    with socket.socket() as silent:  # accepts connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        env = {"HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}", "HF_HOME": str(tmp_path / "hf")}
        outcome = toolkit("finetune", "sentiment", "--model", "bert", cwd=tmp_path, env=env)
    refused(outcome, "hub.unreachable", "minilm", tmp_path)
    assert outcome.cpu_seconds < 5


def test_hub_errors_are_reported(hub: LocalHub, tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    env = hub.environment(tmp_path / "hf")
    hub.add("acme/gated", tiny_distilbert, gated=True)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    shutil.copy(tiny_distilbert / "config.json", pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04not weights")
    hub.add("acme/pickled", pickled)
    for model, identifier in (
        ("acme/nothing", "hub.not-found"), ("acme/gated", "hub.gated"), ("acme/pickled", "model.unsafe-weights"),
        ("distilbert/distilbert-base-uncased@no-such-branch", "hub.no-revision"),
    ):  # fmt: skip
        outcome = toolkit("finetune", "sentiment", "--model", model, "--data", table, cwd=tmp_path, env=env)
        refused(outcome, identifier, model.partition("@")[0], tmp_path)


def test_hub_safetensors_conversion_is_used(hub: LocalHub, tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    pickled = shutil.copytree(tiny_distilbert, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    hub.add("acme/convertible", pickled)
    hub.add_pull_request(
        "acme/convertible", "Adding `safetensors` variant of this model", "SFconvertbot", tiny_distilbert
    )
    outcome = toolkit(
        "finetune", "sentiment", "--model", "acme/convertible", "--data", table, "--epochs", "1",
        cwd=tmp_path, env=hub.environment(tmp_path / "hf"),
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    assert "conversion" in outcome.err


def test_ctrl_c_leaves_no_complete_run(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 2000)
    process = start(
        "finetune", "sentiment", "--model", tiny_distilbert, "--data", table, "--epochs", "500",
        cwd=tmp_path, fresh=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--resume" in err
    assert "Traceback" not in err
    (run,) = (tmp_path / "runs").iterdir()
    assert not (run / "model").exists()
    refused(toolkit("evaluate", cwd=tmp_path), "run.not-found", "toolkit finetune", tmp_path)
    refused(toolkit("evaluate", run, cwd=tmp_path), "run.unfinished", "--resume", tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(tiny_distilbert: Path, tmp_path: Path, small_disk: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    outcome = toolkit(
        "finetune",
        "sentiment",
        "--model",
        tiny_distilbert,
        "--data",
        table,
        "--epochs",
        "1",
        "--output",
        small_disk / "run",
        cwd=tmp_path,
    )
    refused(outcome, "machine.disk-full", "MiB", tmp_path, code=outcome.code)
    assert outcome.code in (1, 2)
    assert not (small_disk / "run" / "model").exists()
    assert not (small_disk / "run" / "checkpoint").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder_is_rejected(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    (tmp_path / "locked").mkdir(mode=0o500)
    outcome = toolkit(
        "finetune", "sentiment", "--model", tiny_distilbert, "--data", table, "--output", "locked/run", cwd=tmp_path
    )
    refused(outcome, "output.not-writable", "locked", tmp_path)


def test_ascii_locale_is_supported(tmp_path: Path) -> None:
    rows = "".join(f"très bon {n},pos\ntrès mauvais {n},neg\n" for n in range(20))
    (tmp_path / "café.csv").write_text("text,label\n" + rows, encoding="utf-8")
    env = {"LC_ALL": "C", "PYTHONUTF8": "0"}
    outcome = toolkit("inspect", "café.csv", "--model", "./no-tokenizer", cwd=tmp_path, env=env, fresh=True)
    assert outcome.code == 0, outcome.text
    assert "café.csv — all" in outcome.out
    assert "très bon" in outcome.out
    outcome = toolkit("inspect", "nothére.csv", cwd=tmp_path, env=env, fresh=True)
    refused(outcome, "source.file-missing", "nothére.csv", tmp_path)
    outcome = toolkit("finetune", "sentiment", "--data", "café.csv", "--output", "ü", cwd=tmp_path, env=env, fresh=True)
    refused(outcome, "machine.locale", "PYTHONUTF8=1", tmp_path)


@pytest.mark.parametrize("module", ["typer", "toolkit.commands", "toolkit.data.load"])
def test_ctrl_c_during_import_prints_one_line(module: str, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "class Key:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Key())\n"
        "sys.argv = ['toolkit', 'finetune', 'sentiment']\n"
        "from toolkit.__main__ import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nInterrupted.\n")


def test_a_pipe_that_closes_early_is_no_failure(tmp_path: Path) -> None:
    process = start("recipes", "show", "sentiment", cwd=tmp_path, fresh=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=60)
    process.stderr.close()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    outcome = toolkit("finetune", "sentimnt", "--debug", cwd=tmp_path)
    assert "Traceback" in outcome.err
