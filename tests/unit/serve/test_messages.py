"""Predicted rows as responses."""

import pytest

from toolkit.serve import messages


@pytest.mark.parametrize("prediction", ["good", 3.25, ["food", "sport"], [0, None]])
def test_a_prediction_of_any_shape_is_returned_with_the_further_columns_of_its_target(prediction):
    row = {"prediction": prediction, "score: a": 0.25, "nearest": "3", "problem": None}
    made = messages.prediction(row)
    assert made == {"prediction": prediction, "scores": {"a": 0.25}, "columns": {"nearest": "3"}}
    assert messages.Prediction.model_validate(made).model_dump(exclude_none=True) == made
    assert messages.prediction({"prediction": prediction, "problem": None}) == {"prediction": prediction}
