"""The model card shows code that runs with the libraries as they are."""

import ast
import re

import pytest

from tests.support.reports import sample
from toolkit.report.card import Publication, to_card

TASKS = {
    "text-classification": "pipeline(",
    "image-classification": "picture.jpg",
    "token-classification": "pipeline(",
    "translation": "AutoModelForSeq2SeqLM",  # transformers has no pipeline for it any more
}


@pytest.mark.parametrize("task", TASKS)
def test_the_code_of_each_task_can_be_parsed_and_names_the_model(task):
    publication = Publication("org/mine", task, "mit", None, None, "My data", None, [], 128)
    (code,) = re.findall(r"```python\n(.*?)```", to_card(sample(), publication), re.DOTALL)
    ast.parse(code)
    assert "org/mine" in code
    assert TASKS[task] in code
    assert ('pipeline("translation"' in code) is False


def test_a_model_from_random_weights_was_fine_tuned_from_nothing():
    card = to_card(sample(), Publication("org/mine", "text-classification", None, None, None, "My data", None, [], 128))
    assert "Fine-tuned from" in card
    scratch = Publication("org/mine", "text-classification", None, None, None, "My data", None, [], 128, True)
    card = to_card(sample(), scratch)
    assert "Trained from random weights (" in card
    assert "ine-tuned from" not in card
