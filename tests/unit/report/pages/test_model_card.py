"""The model card shows code that runs with the libraries as they are."""

import ast
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard

from tests.support.reports import findings, sample
from toolkit.report.pages import usage
from toolkit.report.pages.model_card import Publication, to_card, to_eval_results

TASKS = {
    "text-classification": "pipeline(",
    "image-classification": "picture.jpg",
    "token-classification": "is_split_into_words",
    "translation": "AutoModelForSeq2SeqLM",  # transformers has no pipeline for it any more
}


@pytest.mark.parametrize("task", TASKS)
def test_the_code_of_each_task_can_be_parsed_and_names_the_model(task):
    made = usage.code(task, "org/mine", max_length=128)
    publication = Publication("org/mine", task, "mit", None, None, "My data", None, [], 128, code=made)
    (code,) = re.findall(r"```python\n(.*?)```", to_card(sample(), publication), re.DOTALL)
    ast.parse(code)
    assert "org/mine" in code
    assert TASKS[task] in code
    assert ('pipeline("translation"' in code) is False


def test_the_code_says_what_stands_before_a_text_and_what_goes_with_it():
    code = usage.code("translation", "org/mine", max_length=99, prefix='translate "a": ', length_factor=1.5)
    ast.parse(code)
    assert '"translate \\"a\\": " + "A text' in code
    assert "min(99, int(1.5 * " in code
    pairs = usage.code("text-classification", "org/mine", max_length=128, pairs=True)
    ast.parse(pairs)
    assert '"text_pair": ' in pairs


def test_results_are_written_for_a_benchmark_alone():
    facts = ("org/mine", "text-classification", None, None, "org/data", "org/data", None, [], 128)
    assert to_eval_results(sample(), Publication(*facts)) is None
    (entry,) = yaml.safe_load(to_eval_results(sample(), Publication(*facts, benchmark="binary")) or "")
    metric = sample()["evaluation"]["metrics"][0]
    assert entry["dataset"] == {"id": "org/data", "task_id": "binary"}
    assert entry["value"] == pytest.approx(metric["value"])
    assert metric["title"] in entry["notes"]


def test_a_model_from_random_weights_was_fine_tuned_from_nothing():
    card = to_card(sample(), Publication("org/mine", "text-classification", None, None, None, "My data", None, [], 128))
    assert "Fine-tuned from" in card
    scratch = Publication("org/mine", "text-classification", None, None, None, "My data", None, [], 128, True)
    card = to_card(sample(), scratch)
    assert "Trained from random weights (" in card
    assert "ine-tuned from" not in card


def test_a_card_names_what_the_model_reads():
    facts = ("org/mine", "text-classification", None, None, None, "My data", None, [], 128)
    assert "Classify a text into" in to_card(sample(), Publication(*facts))
    pairs = to_card(sample(), Publication(*facts, pairs=True))
    assert "Classify a pair of texts into" in pairs
    assert "Pairs of texts should" in pairs
    report = sample()
    del report["evaluation"]["bias"]
    pictures = to_card(report, Publication("org/mine", "image-classification", *facts[2:]))
    assert "Classify a picture into" in pictures
    assert "people mentioned" in pairs
    assert "people mentioned" not in pictures  # nothing is mentioned in them


def test_the_code_for_recordings_prints_what_the_target_says():
    code = usage.code("audio-classification", "org/mine", lines="print(predict({}, top_k=3))".format)
    ast.parse(code)
    assert "print(predict(given, top_k=3))" in code


def metadata(**changes: Any) -> dict[str, Any]:
    facts = ("org/mine", "text-classification", "mit", "org/base", None, "My data", None, [], 128)
    card = to_card(sample(), replace(Publication(*facts), **changes))
    return ModelCard(card, ignore_metadata_errors=False).data.to_dict()


def test_metadata_state_the_base_model_and_the_relation_to_it():
    plain = metadata()
    assert (plain["base_model"], plain["base_model_relation"], plain["library_name"]) == (
        "org/base", "finetune", "transformers",
    )  # fmt: skip
    assert not {"language", "widget", "co2_eq_emissions"} & plain.keys()
    adapted = metadata(adapter=True)
    assert (adapted["base_model_relation"], adapted["library_name"]) == ("adapter", "peft")
    scratch = metadata(base_model=None)
    assert "base_model_relation" not in scratch


def test_metadata_state_languages_examples_and_runtimes():
    files = ["onnx/model.onnx", "openvino/openvino_model.xml"]
    data = metadata(languages=["en", "de"], widgets=[{"text": "Good: morning"}], files=files)
    assert data["language"] == ["en", "de"]
    assert data["widget"] == [{"text": "Good: morning"}]
    assert {"onnx", "transformers.js", "openvino"} <= set(data["tags"])


def test_metrics_of_translations_are_results_by_the_names_of_the_hub():
    report = sample()
    figures = [{**report["evaluation"]["metrics"][0], "name": name, "title": name.upper()} for name in ("chrf", "bleu")]
    report["evaluation"]["metrics"] = figures
    publication = Publication("org/mine", "translation", "mit", None, None, "My data", None, [], 128)
    card = ModelCard(to_card(report, publication), ignore_metadata_errors=False)
    assert card.data.to_dict()["metrics"] == ["chrf", "bleu"]
    results = card.data.eval_results
    assert all(isinstance(result, EvalResult) for result in results)
    assert [(result.task_type, result.metric_type) for result in results] == [
        ("translation", "chrf"),
        ("translation", "bleu"),
    ]
    assert results[0].metric_value == pytest.approx(figures[0]["value"])


@pytest.mark.parametrize("joules", [None, 0.25])
def test_energy_is_stated_where_it_was_measured(joules):
    report = sample()
    report["evaluation"]["cost"] = findings()["cost"]
    for row in report["evaluation"]["cost"]["timings"]:
        row["joules_per_example"] = joules
    card = to_card(report, Publication("org/mine", "text-classification", "mit", None, None, "Mine", None, [], 128))
    assert "Cost of a prediction" in card
    assert ("nergy" in card) is False
    assert ("0.25 J" in card) is (joules is not None)


@pytest.mark.parametrize("task", ["text-classification", "token-classification", "translation"])
def test_the_code_of_an_adapter_can_be_parsed_and_uses_peft(task):
    code = usage.code(task, "org/mine", max_length=64, adapter=True)
    assert code is not None
    ast.parse(code)
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    imported = {
        alias.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported <= names
    assert any(name.startswith("AutoPeftModelFor") for name in imported)
    assert not any(name.startswith("AutoModelFor") for name in names)
    assert usage.code("image-classification", "org/mine", adapter=True) is None
