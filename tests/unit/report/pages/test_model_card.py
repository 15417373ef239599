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
