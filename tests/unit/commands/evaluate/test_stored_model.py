"""The recipe and the inputs of a model are read off its folder."""

import json
from pathlib import Path

import pytest

from toolkit import checkpoints
from toolkit.commands.evaluate.stored_model import stored_configuration


def located(folder: Path, *labels: str) -> checkpoints.Checkpoint:
    names = {str(number): label for number, label in enumerate(labels)}
    config = {"architectures": ["BertForSequenceClassification"], **({"id2label": names} if names else {})}
    return checkpoints.Checkpoint("m", folder, "m", None, None, config)


@pytest.mark.parametrize(
    ("labels", "recipe"),
    [
        (("NEGATIVE", "POSITIVE"), "sentiment"),
        (("negative", "neutral", "positive"), "sentiment"),
        (("entailment", "neutral", "contradiction"), "text"),  # one name of a polarity among others
        (("LABEL_0", "LABEL_1"), "text"),
        ((), "text"),
    ],
)
def test_a_model_without_a_card_is_of_the_recipe_that_its_classes_fit(tmp_path, labels, recipe):
    _, config = stored_configuration(located(tmp_path, *labels), {}, None)
    assert config.recipe == recipe
    assert stored_configuration(located(tmp_path, *labels), {}, "sentiment")[1].recipe == "sentiment"


def test_a_model_has_the_inputs_that_it_learned_from(tmp_path):
    for inputs in ({"text": True}, {"text": True, "text_pair": True}):
        card = {"recipe": "text", "inputs": {role: {"required": value} for role, value in inputs.items()}}
        (tmp_path / "toolkit.json").write_text(json.dumps(card), encoding="utf-8")
        recipe, _ = stored_configuration(located(tmp_path), {}, None)
        assert {column.role: column.required for column in recipe.task.inputs} == inputs
