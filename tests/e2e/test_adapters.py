"""A folder, a run or a repository on the Hub that holds only an adapter is used wherever a model is named."""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.e2e.conftest import Made
from tests.support import checkpoints
from tests.support.cli import python, several, toolkit
from tests.support.hub import LocalHub
from tests.support.service import post, serving
from toolkit.report.pages import usage

BASE = "distilbert/distilbert-base-uncased"
NAME = "acme/adapter"
TEXTS = ("a wonderful film with a moving story", "a dull film with a boring story")
PEFT = """
import sys, torch
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoModelForSequenceClassification, AutoTokenizer
name, merged, text = sys.argv[1:]
adapted = AutoPeftModelForSequenceClassification.from_pretrained(name, num_labels=2).eval()
whole = AutoModelForSequenceClassification.from_pretrained(merged).eval()
inputs = AutoTokenizer.from_pretrained(name)(text, return_tensors="pt")
with torch.no_grad():
    print(float((adapted(**inputs).logits - whole(**inputs).logits).abs().max()))
"""


@pytest.fixture(scope="module")
def base_hub(tiny_distilbert: Path) -> Iterator[LocalHub]:
    with LocalHub() as server:
        server.add(BASE, tiny_distilbert)
        yield server


@pytest.fixture(scope="module")
def trained(base_hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("adapters")
    checkpoints.reviews(home / "reviews.csv", 120)
    env = base_hub.environment(home / "hf", base_hub.token)
    call = ("finetune", "sentiment", "--model", "distilbert", "--data", "reviews.csv", "--epochs", "1")
    settings = ("--set", "adapter.kind=lora", "--set", "training.learning_rate=0.01", "--set", "evaluation.checks=[]")
    outcome = toolkit(*call, *settings, "--output", "run", cwd=home, env=env)
    assert outcome.code == 0, outcome.text
    shutil.copytree(home / "run", home / "small")
    shutil.rmtree(home / "small" / "model")
    base_hub.add(NAME, home / "run" / "adapter")
    return Made(home, home / "run", env, outcome)


def test_adapter_predicts_as_the_merged_model(trained: Made) -> None:
    names = ("run", "small", "small/adapter", NAME)
    (trained.cwd / "in.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    calls = [
        ("predict", name, "--input", "in.txt", "--output", f"out{number}.csv", "--all-scores")
        for number, name in enumerate(names)
    ]
    outcomes = several(calls, trained.cwd, trained.env)
    assert [outcome.code for outcome in outcomes] == [0] * len(calls), outcomes[-1].text
    whole, *others = ((trained.cwd / f"out{number}.csv").read_text(encoding="utf-8") for number in range(len(calls)))
    assert len(whole.splitlines()) == 3
    assert others == [whole] * 3


def test_run_and_repository_are_evaluated_exported_and_served(trained: Made) -> None:
    table = checkpoints.reviews(trained.cwd / "new.csv", 40, seed=9)
    calls = [
        ("evaluate", "small", "--output", "judged"),
        ("evaluate", NAME, "--data", table, "--output", "elsewhere"),
        ("export", NAME, "--to", "safetensors", "--data", table, "--output", "exported"),
    ]
    outcomes = several(calls, trained.cwd, trained.env)
    assert [outcome.code for outcome in outcomes] == [0] * len(calls), outcomes[-1].text
    reports = [
        json.loads((trained.cwd / name / "report.json").read_text(encoding="utf-8"))["evaluation"]
        for name in ("run", "judged", "elsewhere")
    ]
    assert reports[0]["metrics"] == reports[1]["metrics"]
    assert reports[0]["labels"] == reports[2]["labels"] == ["negative", "positive"]
    with serving("serve", NAME, cwd=trained.cwd, env=trained.env) as address:
        code, answers = post(f"{address}/predict", {"inputs": list(TEXTS)})
        assert code == 200, answers
        assert len(answers["predictions"]) == 2


def test_peft_loads_it_by_its_name(trained: Made) -> None:
    done = python(PEFT, NAME, trained.run / "model", TEXTS[0], cwd=trained.cwd, env=trained.env)
    assert done.code == 0, done.err
    assert float(done.out) < 1e-5


def test_adapter_of_peft_alone_has_its_task_from_its_configuration(trained: Made) -> None:
    """As peft itself saves it: no config.json, no tokenizer, no names of classes."""
    bare = trained.cwd / "bare"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(trained.run / "adapter" / name, bare)
    table = checkpoints.reviews(trained.cwd / "other.csv", 20, seed=5)
    calls = [("evaluate", name, "--data", table, "--output", f"judged-{name}") for name in ("run", "bare")]
    outcomes = several(calls, trained.cwd, trained.env)
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[-1].text
    whole, bare_report = (
        json.loads((trained.cwd / f"judged-{name}" / "report.json").read_text(encoding="utf-8"))["evaluation"]
        for name in ("run", "bare")
    )
    assert whole["metrics"] == bare_report["metrics"]


@pytest.mark.parametrize(
    ("changes", "identifier"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "model.is-adapter"),
        ({"megatron_config": {"a": 1}}, "model.is-adapter"),
        ({"base_model_name_or_path": None}, "model.adapter-base"),
        ({"base_model_name_or_path": NAME, "revision": None}, "model.adapter-base"),
        ({"r": 3}, "model.cannot-load"),
    ],
)
def test_adapter_that_cannot_be_merged(
    changes: dict[str, object], identifier: str, trained: Made, tmp_path: Path
) -> None:
    broken = shutil.copytree(trained.run / "adapter", tmp_path / "broken")
    config = json.loads((broken / "adapter_config.json").read_text(encoding="utf-8"))
    (broken / "adapter_config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    outcome = toolkit("predict", "broken", "a text", cwd=tmp_path, env=trained.env)
    assert outcome.code == 2, outcome.text
    assert f"[{identifier}]" in outcome.err


def test_adapter_is_pushed_alone(trained: Made, base_hub: LocalHub) -> None:
    outcome = toolkit("push", "run", "acme/alone", "--adapter", cwd=trained.cwd, env=trained.env)
    assert outcome.code == 0, outcome.text
    files = base_hub.files("acme/alone")
    assert {"adapter_config.json", "adapter_model.safetensors", "config.json", "tokenizer.json"} <= files.keys()
    assert "model.safetensors" not in files
    card = ModelCard(files["README.md"].read_text(encoding="utf-8"))
    data = card.data.to_dict()
    assert (data["base_model"], data["base_model_relation"], data["library_name"]) == (BASE, "adapter", "peft")
    (code,) = re.findall(r"```python\n(.*?)```", card.content, re.DOTALL)
    program = code.replace(usage.TEXT, TEXTS[0])
    done = python(program, cwd=trained.cwd, env=trained.env)
    assert done.code == 0, done.err
    (answer,) = ast.literal_eval(done.out)
    predicted = toolkit("predict", "run", TEXTS[0], cwd=trained.cwd, env=trained.env)
    assert answer["label"] in predicted.out


def test_adapter_of_a_local_base_is_not_pushed_alone(
    tiny_bert: Path, base_hub: LocalHub, trained: Made, tmp_path: Path
) -> None:
    copied = shutil.copytree(trained.run, tmp_path / "run")
    config = json.loads((copied / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = str(tiny_bert.resolve())
    (copied / "adapter" / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    outcome = toolkit("push", "run", "acme/local", "--adapter", cwd=tmp_path, env=trained.env)
    assert outcome.code == 2, outcome.text
    assert "[model.adapter-base]" in outcome.err
