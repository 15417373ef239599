"""`toolkit launch` on the command line and from Python: what it writes, submits and refuses."""

import json
import os
from pathlib import Path

import pytest

import toolkit as package
from tests.support.cli import several, toolkit
from tests.support.json_documents import document
from toolkit.errors import ToolkitError

JOB = ["finetune", "text", "--data", "a b's.csv", "--epochs", "2"]
SLURM = ["launch", "--on", "slurm"]


def test_a_file_is_written_once_and_not_replaced(tmp_path: Path) -> None:
    dry, first, same, other = several(
        [
            [*SLURM, "--dry-run", *JOB],
            [*SLURM, "--json", *JOB],
            [*SLURM, *JOB],
            [*SLURM, "--json", "--nodes", "2", *JOB],
        ],
        cwd=tmp_path,
        all_of_them=True,
    )
    assert (dry.code, first.code, same.code, other.code) == (0, 0, 0, 2), dry.text + first.text + same.text
    printed = document(first, "launch")
    content = (tmp_path / printed["path"]).read_text(encoding="utf-8")
    assert (printed["content"], dry.out, printed["job"]) == (content, content, JOB)
    assert (printed["submit"], printed["submitted"], printed["answer"]) == (f"sbatch {printed['path']}", False, None)
    assert json.loads(other.out)["error"]["id"] == "output.exists"
    assert (tmp_path / printed["path"]).read_text(encoding="utf-8") == content


def test_a_job_is_handed_over(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    sbatch = programs / "sbatch"
    sbatch.write_text('#!/bin/sh\ncat "$1" > seen && echo Submitted batch job 7\n', encoding="utf-8")
    sbatch.chmod(0o755)
    env = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    done = document(toolkit(*SLURM, "--submit", "--json", *JOB, cwd=tmp_path, env=env), "launch")
    assert (done["submitted"], done["answer"]) == (True, "Submitted batch job 7")
    assert (tmp_path / "seen").read_text(encoding="utf-8") == done["content"]
    sbatch.write_text("#!/bin/sh\necho invalid partition >&2; exit 1\n", encoding="utf-8")
    refused = toolkit(*SLURM, "--submit", "--json", *JOB, cwd=tmp_path, env=env)
    assert (refused.code, json.loads(refused.out)["error"]["id"]) == (1, "launch.refused")
    assert "invalid partition" in refused.err


@pytest.mark.parametrize(
    ("words", "options", "identifier"),
    [
        (["finetune", "text", "--epoch", "2"], {"on": "slurm"}, "config.command-line"),
        (["finetune", "text", "--set", "training.epochz=2"], {"on": "slurm"}, "config.unknown-key"),
        (["finetoon", "text"], {"on": "slurm"}, "config.command-line"),
        (["serve", "run"], {"on": "slurm"}, "launch.not-a-job"),
        (JOB, {"on": "sclurm"}, "config.unknown-choice"),
        (JOB, {"on": "hf-jobs", "hardware": "a10g-large"}, "launch.files-lost"),
        ([*JOB, "--push-to", "a/b"], {"on": "hf-jobs"}, "launch.needs"),
        ([*JOB, "--push-to", "a/b"], {"on": "hf-jobs", "hardware": "t4-small", "nodes": 2}, "launch.unused"),
        (JOB, {"on": "kubernetes", "image": "a"}, "launch.files-lost"),
        ([*JOB, "--push-to", "a/b"], {"on": "kubernetes", "image": "a", "nodes": 2}, "launch.needs"),
        (["evaluate", "run"], {"on": "slurm", "nodes": 2}, "config.conflict"),
        ([*JOB, "--num-processes", "3"], {"on": "slurm", "gpus": 2}, "config.conflict"),
        (JOB, {"on": "slurm", "set_engine": {"account": "a\n#SBATCH --x"}}, "launch.bad-value"),
        (JOB, {"on": "slurm", "set_engine": {"nodes": "3"}}, "launch.unused"),
        (JOB, {"on": "slurm", "hours": float("nan")}, "config.out-of-range"),
        (JOB, {"on": "slurm", "name": "a b"}, "launch.bad-value"),
        (JOB, {"on": "slurm", "setup": "export HF_TOKEN=" + "hf_" + "a" * 30}, "launch.token"),
        ([*JOB, "caf\udce9"], {"on": "slurm"}, "launch.bad-value"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    words: list[str], options: dict, identifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToolkitError) as caught:
        package.launch(words, progress=False, **options)
    assert caught.value.id == identifier
    assert list(tmp_path.iterdir()) == []


def test_names_of_transformers_are_replaced_in_the_job(tmp_path: Path) -> None:
    done = toolkit(*SLURM, "--json", "finetune", "text", "--num_train_epochs", "2", cwd=tmp_path)
    assert document(done, "launch")["job"] == ["finetune", "text", "--epochs", "2"]
    kept = toolkit(*SLURM, "--json", "--dry-run", "--", "finetune", "text", "--quiet", cwd=tmp_path)
    assert document(kept, "launch")["job"] == ["finetune", "--quiet", "text"]
