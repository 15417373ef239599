"""Settings that have no meaning for a target are refused, and what needs one class a row is left out."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import checkpoints
from tests.support.errors import refused
from toolkit.commands.explain.inputs import text_columns
from toolkit.commands.explain.request import RecipeAndConfig
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.errors import ConfigError, ModelError
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe


@pytest.fixture
def several() -> Recipe:
    """The recipe `sentiment` with a target of several classes a row."""
    recipe = loading.load("sentiment")
    target = replace(recipe.target, single=False, exclusive=False)
    columns = [replace(c, kind=target) if c.kind is recipe.target else c for c in recipe.columns]
    return replace(recipe, columns=tuple(columns))


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"loss": {"label_smoothing": 0.1}}, "loss.label_smoothing"),
        ({"loss": {"focal_gamma": 2.0}}, "loss.focal_gamma"),
        ({"loss": {"class_weights": "balanced"}}, "loss.class_weights"),
        ({"evaluation": {"positive_class": "pos"}}, "evaluation.positive_class"),
    ],
)
def test_a_setting_for_one_class_a_row_is_refused(several: Recipe, sections: dict, key: str, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 40)
    values = {"model": checkpoints.TINY, "data": {"source": str(table)}, **sections}
    _, resolved = configure("sentiment", [("flag", values)])
    with refused(ConfigError, "config.not-for-task", f"`{key}`"):
        prepare(several, resolved, lambda _event: None)


def test_predictions_of_several_classes_are_not_explained(several: Recipe) -> None:
    _, resolved = configure("sentiment", [("flag", {"model": checkpoints.TINY})])
    subject: RecipeAndConfig = SimpleNamespace(recipe=several, config=resolved.config)
    with refused(ModelError, "model.wrong-input", "sentiment"):
        text_columns(subject)
