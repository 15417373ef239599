"""Labels and names have one written form everywhere."""

import unicodedata

import pytest

from toolkit.config import normal_form
from toolkit.config.settings import DataConfig, EvaluationConfig


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ((1, 1.0, "1", "1.0", " 1.00 "), "1"),
        ((True, "True", "TRUE", "true"), "true"),
        ((4.5, "4.5"), "4.5"),
        (("01",), "01"),
        (("Truet",), "Truet"),
        ((unicodedata.normalize("NFD", "café"), "café"), "café"),
    ],
)
def test_one_form(values, form):
    assert {normal_form.label(value) for value in values} == {form}


def test_settings_use_it():
    data = DataConfig(
        label_map={1.0: "good", "0.0": True},
        where={unicodedata.normalize("NFD", "é"): 2.0},
        columns={"text": "e\u0301"},
    )
    assert data.label_map == {"1": "good", "0": "true"}
    assert data.where == {"é": "2"}
    assert data.columns == {"text": "é"}
    assert EvaluationConfig(positive_class=True).positive_class == "true"
