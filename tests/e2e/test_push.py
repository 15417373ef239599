"""From a run to the Hub and back, through the command line."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import DATA, Made
from tests.support import bitext, checkpoints
from tests.support.cli import environment, python, several, toolkit
from tests.support.hub import LocalHub
from tests.support.service import post, serving
from toolkit import runs
from toolkit.report.pages import usage

NAME = "acme/reviews"
USER = "zaphod-beeblebrox"
PROGRAM = """
import json, sys
from transformers import pipeline
print(json.dumps([one["label"] for one in pipeline("text-classification", sys.argv[1], device="cpu")(sys.argv[2:])]))
"""
DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1]))
"""
PEFT = """
import sys, torch
from huggingface_hub import snapshot_download
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoModelForSequenceClassification, AutoTokenizer
name, text = sys.argv[1:]
merged = AutoModelForSequenceClassification.from_pretrained(name).eval()
adapted = AutoPeftModelForSequenceClassification.from_pretrained(snapshot_download(name) + "/adapter").eval()
inputs = AutoTokenizer.from_pretrained(name)(text, return_tensors="pt")
with torch.no_grad():
    print(float((adapted(**inputs).logits - merged(**inputs).logits).abs().max()))
"""


@pytest.fixture(scope="module")
def empty_hub() -> Iterator[LocalHub]:
    with LocalHub() as server:
        yield server


@pytest.fixture(scope="module")
def pushed(tiny_distilbert: Path, empty_hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run on a table that lies in a user's home, named by its whole path, and pushed in the same command."""
    home = tmp_path_factory.mktemp("home") / USER
    home.mkdir()
    table = checkpoints.reviews(home / "secret_project.csv", 240)
    model = shutil.copytree(tiny_distilbert, home / "checkpoint")
    (model / "README.md").write_text("---\nlicense: mit\n---\n# A model\n", encoding="utf-8")
    env = {**empty_hub.environment(home / "hf", empty_hub.token), "HOME": str(home), "USER": USER, "LOGNAME": USER}
    call = ("finetune", "sentiment", "--model", model, "--data", table, "--epochs", "2", "--output", home / "run")
    outcome = toolkit(*call, "--push-to", NAME, cwd=home, env=env)
    assert outcome.code == 0, outcome.text
    return Made(home, home / "run", env, outcome)


def test_pushed_files_have_no_private_names(pushed: Made, empty_hub: LocalHub) -> None:
    files = {path: file.read_bytes() for path, file in empty_hub.files(NAME).items()}
    assert {"README.md", "model.safetensors", "report.json", "report.html", "training_config.yaml"} <= files.keys()
    assert {"plots/loss.svg", "plots/calibration.svg"} <= files.keys()
    secrets = (USER, str(pushed.cwd), str(pushed.cwd.parent), empty_hub.token, "/tmp/")
    for path, content in files.items():
        for secret in secrets:
            assert secret.encode() not in content, (path, secret)
    assert b"secret_project.csv" in files["report.json"]


def test_push_sends_model_files_and_is_idempotent(pushed: Made, empty_hub: LocalHub) -> None:
    for name in ("optimizer.pt", "training_args.bin", "trainer_state.json", ".cache.json", "token"):
        (pushed.run / "model" / name).write_bytes(b"not yours")
    before = dict(empty_hub.repos["model", NAME].commits)
    outcome = toolkit("push", "run", NAME, cwd=pushed.cwd, env=pushed.env)
    assert outcome.code == 0, outcome.text
    assert "no commit was made" in outcome.err
    assert empty_hub.repos["model", NAME].commits == before
    assert empty_hub.repos["model", NAME].private


def test_card_has_the_metrics(pushed: Made, empty_hub: LocalHub) -> None:
    card = empty_hub.files(NAME)["README.md"].read_text(encoding="utf-8")
    report = json.loads((pushed.run / "report.json").read_text(encoding="utf-8"))
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["license"] == "mit"
    assert "base_model" not in metadata  # it is on no Hub
    figures = {metric["name"]: metric["value"] for metric in metadata["model-index"][0]["results"][0]["metrics"]}
    assert figures["Accuracy"] == pytest.approx(report["evaluation"]["metrics"][0]["value"], abs=1e-6)
    for wanted in (
        report["verdict"]["headline"], report["data"]["fingerprint"], "toolkit finetune sentiment --model ./checkpoint",
        "## Intended use", "## Limits", "## How to reproduce it", "](plots/loss.svg)", "](plots/calibration.svg)",
        "Not measured: the time, memory", f'model="{NAME}"', "### Calibration",
    ):  # fmt: skip
        assert wanted in card
    assert "--push-to" not in card
    assert not any(path.startswith(".eval_results") for path in empty_hub.files(NAME))  # the data are on no Hub


def test_pushed_model_is_used_by_name(pushed: Made, empty_hub: LocalHub, tmp_path: Path) -> None:
    env = empty_hub.environment(tmp_path / "hf", empty_hub.token)  # another machine
    table = checkpoints.reviews(tmp_path / "new.csv", 60, seed=9)
    texts = ["a wonderful film with a moving story", "a dull film with a boring story"]
    calls = {
        ("evaluate", NAME, "--data", table, "--output", "out"): "",
        ("predict", NAME, "--input", table, "--output", "out.csv"): "60",
        ("explain", NAME, texts[0], "--method", "rollout", "--output", "why"): "not measured",
        ("attend", NAME, texts[0]): "softmax",
        ("export", NAME, "--to", "safetensors", "--data", table, "--output", "exported"): "60 of 60 given rows",
        ("finetune", "sentiment", "--model", NAME, "--data", table, "--dry-run"): NAME,
    }
    outcomes = several(list(calls), tmp_path, env)
    assert [outcome.code for outcome in outcomes] == [0] * len(calls), outcomes[-1].text
    for used, text in zip(outcomes, calls.values(), strict=True):
        assert text in used.text
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["evaluation"]["labels"] == ["negative", "positive"]
    assert runs.CARD in empty_hub.files(NAME)  # what later commands need beside the weights
    done = python(PROGRAM, NAME, *texts, cwd=tmp_path, env=env)
    assert set(json.loads(done.out)) <= {"negative", "positive"}, done.err
    for command in ("serve", "app"):
        options = ["--no-browser"] if command == "app" else []
        with serving(command, NAME, *options, cwd=tmp_path, env=env) as address:
            code, answers = post(f"{address}/predict", {"inputs": texts})
            assert code == 200, answers
            assert answers["model"] == NAME
            assert [item["prediction"] for item in answers["predictions"]] == json.loads(done.out)


@pytest.mark.parametrize("xet", [True, False], ids=["Xet", "plain LFS"])
def test_downloaded_files_equal_pushed_files(pushed: Made, xet: bool, tmp_path: Path) -> None:
    """With Xet and without, up and down, on a Hub that holds nothing yet: compared by hash."""
    sent = {file.name: runs.digest(file) for file in (pushed.run / "model").glob("*.safetensors")}
    with LocalHub() as hub:
        up = {**pushed.env, **hub.environment(tmp_path / "up", hub.token, xet=xet)}
        outcome = toolkit("push", "run", NAME, cwd=pushed.cwd, env=up)
        assert outcome.code == 0, outcome.text
        assert bool(hub.seen("xet-write-token")) == xet
        assert bool(hub.seen("PUT /lfs/")) != xet
        for download in (True, False):
            env = environment(hub.environment(tmp_path / f"down-{download}", hub.token, xet=download))
            done = subprocess.run([sys.executable, "-c", DOWNLOAD, NAME], env=env, capture_output=True, text=True)
            folder = Path(done.stdout.strip())
            assert folder.is_dir(), done.stderr
            assert {file.name: runs.digest(file) for file in folder.glob("*.safetensors")} == sent
            assert bool(hub.seen("xet-read-token")) == xet  # only what was stored so is read so
        again = toolkit(
            "push",
            "run",
            NAME,
            cwd=pushed.cwd,
            env={**pushed.env, **hub.environment(tmp_path / "up", hub.token, xet=xet)},
        )
        assert "no commit was made" in again.err


def test_pushed_adapters_load_in_peft(tiny_distilbert: Path, empty_hub: LocalHub, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 120)
    base = "distilbert/distilbert-base-uncased"
    empty_hub.add(base, tiny_distilbert)
    env = empty_hub.environment(tmp_path / "hf", empty_hub.token)
    call = ("finetune", "sentiment", "--model", "distilbert", "--data", table, "--epochs", "1", "--output", "run")
    outcome = toolkit(*call, "--set", "adapter.kind=lora", "--push-to", "acme/lora", cwd=tmp_path, env=env)
    assert outcome.code == 0, outcome.text
    assert "adapter/adapter_model.safetensors" in empty_hub.files("acme/lora")
    config = json.loads(empty_hub.files("acme/lora")["adapter/adapter_config.json"].read_text(encoding="utf-8"))
    assert (config["base_model_name_or_path"], config["task_type"]) == (base, "SEQ_CLS")
    done = python(PEFT, "acme/lora", "a wonderful film", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert float(done.out) < 1e-5


def test_card_names_hub_data(made: Made, hub: LocalHub) -> None:
    env = {**made.env, "HF_TOKEN": hub.token}
    call = ("push", made.run, "tester/reviews", "--license", "apache-2.0", "--public", "--no-examples")
    outcome = toolkit(*call, cwd=made.cwd, env=env)
    assert outcome.code == 0, outcome.text
    files = hub.files("tester/reviews")
    metadata = yaml.safe_load(files["README.md"].read_text(encoding="utf-8").split("---\n")[1])
    assert metadata["datasets"] == [DATA]
    assert metadata["base_model"] == "distilbert/distilbert-base-uncased"
    assert ".eval_results/toolkit.yaml" not in files  # the data set is no benchmark
    assert json.loads(files["report.json"].read_text(encoding="utf-8"))["evaluation"]["errors"] == []


def test_dry_run_or_missing_licence_sends_nothing(made: Made, hub: LocalHub) -> None:
    env, before = {**made.env, "HF_TOKEN": hub.token}, len(hub.seen("PUT|POST .*(create|commit|preupload)"))
    dry = toolkit("push", made.run, "tester/other", "--dry-run", cwd=made.cwd, env=env)
    assert dry.code == 0, dry.text
    assert "model.safetensors" in dry.out
    for without in ({**env, "HF_TOKEN": ""}, {**env, "HF_HUB_OFFLINE": "1"}):
        unasked = toolkit("push", made.run, "tester/other", "--dry-run", cwd=made.cwd, env=without)
        assert unasked.code == 0, unasked.text
        assert unasked.out.splitlines()[:-1] == dry.out.splitlines()[:-1], "the same files"
        assert "were not checked" in unasked.err
    public = toolkit("push", made.run, "tester/other", "--public", cwd=made.cwd, env=env)
    assert public.code == 2
    assert "--license" in public.err
    wrong = toolkit("push", made.run, "tester/other", "--license", "my-own", cwd=made.cwd, env=env)
    assert wrong.code == 2
    assert "[hub.card-rejected]" in wrong.err
    assert len(hub.seen("PUT|POST .*(create|commit|preupload)")) == before


def test_impossible_push_fails_before_training(tiny_distilbert: Path, hub: LocalHub, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    call = ("finetune", "sentiment", "--model", tiny_distilbert, "--data", table, "--push-to", "acme/reviews")
    outcome = toolkit(*call, cwd=tmp_path, env=hub.environment(tmp_path / "hf", hub.read_token))
    assert outcome.code == 2
    assert "[hub.no-write-access]" in outcome.err
    model = shutil.copytree(tiny_distilbert, tmp_path / "checkpoint")
    (model / "README.md").write_text("---\nlicense: my-own\n---\n", encoding="utf-8")
    call = ("finetune", "sentiment", "--model", model, "--data", table, "--push-to", "acme/reviews")
    outcome = toolkit(*call, cwd=tmp_path, env=hub.environment(tmp_path / "hf", hub.token))
    assert outcome.code == 2
    assert "[hub.card-rejected]" in outcome.err
    assert "`my-own`" in outcome.err
    assert not (tmp_path / "runs").exists()


def test_benchmark_results_name_the_task(made: Made, reviews_parquet: Path, tmp_path: Path) -> None:
    tasks = [{"id": "binary", "config": "default", "split": "test"}, {"id": "hard", "split": "validation"}]
    with LocalHub() as hub:
        benchmark = shutil.copytree(reviews_parquet, tmp_path / "benchmark")
        (benchmark / "eval.yaml").write_text(yaml.safe_dump({"name": "Reviews", "tasks": tasks}), encoding="utf-8")
        hub.add(DATA, benchmark, kind="dataset")
        env = hub.environment(tmp_path / "hf", hub.token)
        outcome = toolkit("push", made.run, NAME, "--license", "mit", cwd=made.cwd, env=env)
        assert outcome.code == 0, outcome.text
        (entry,) = yaml.safe_load(hub.files(NAME)[".eval_results/toolkit.yaml"].read_text(encoding="utf-8"))
    report = json.loads((made.run / "report.json").read_text(encoding="utf-8"))
    assert entry["dataset"]["id"] == DATA
    assert entry["dataset"]["task_id"] == "binary"
    assert entry["value"] == pytest.approx(report["evaluation"]["metrics"][0]["value"], abs=1e-6)


def test_translation_card_code_agrees_with_predict(tmp_path: Path) -> None:
    bitext.flan(tmp_path / "flan")
    bitext.tsv(tmp_path / "toy.tsv", bitext.pairs(80))
    source = "one cat sees two dog"
    (tmp_path / "in.txt").write_text(f"{source}\n", encoding="utf-8")
    training = ("finetune", "translation", "--model", "flan", "--data", "toy.tsv", "--source", "en", "--target", "de")
    settings = ("--epochs", "2", "--learning-rate", "1e-2", "--set", "evaluation.checks=[]", "--output", "run")
    predict = ("predict", "run", "--input", "in.txt", "--output", "out.txt")
    with LocalHub() as hub:
        env = hub.environment(tmp_path / "hf", hub.token)
        outcomes = several([(*training, *settings, "--push-to", NAME), predict], tmp_path, env)
        assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[-1].text
        card = hub.files(NAME)["README.md"].read_text(encoding="utf-8")
        (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        assert "translate English to German: " in code
        program = code.replace(usage.TEXT, source)
        done = python(program, cwd=tmp_path, env=env)
    assert done.out.strip() == (tmp_path / "out.txt").read_text(encoding="utf-8").strip(), done.err
    assert done.out.strip()
