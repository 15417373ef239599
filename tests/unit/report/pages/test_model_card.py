"""The model card shows code that runs with the libraries as they are."""

import ast
import re

import pytest
import yaml

from tests.support.reports import sample
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
    pictures = to_card(sample(), Publication("org/mine", "image-classification", *facts[2:]))
    assert "Classify a picture into" in pictures
    assert "people mentioned" in pairs
    assert "people mentioned" not in pictures  # nothing is mentioned in them


def test_the_code_for_recordings_prints_what_the_target_says():
    code = usage.code("audio-classification", "org/mine", lines="print(predict({}, top_k=3))".format)
    ast.parse(code)
    assert "print(predict(given, top_k=3))" in code
