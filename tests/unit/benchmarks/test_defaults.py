"""The benchmark of defaults: its table, its intervals and its data."""

import numpy as np
import pytest

from benchmarks import default_data, defaults


def record():
    figures = {"accuracy": 0.7, "macro_f1": 0.6, "cpu_seconds": 50.0}
    other = {"accuracy": 0.8, "macro_f1": 0.75, "cpu_seconds": 70.0}
    table = {
        "rows": 400,
        "test_rows": 1000,
        "classes": 2,
        "contenders": {"toolkit": other, "trainer-defaults": figures},
    }
    second = {**table, "contenders": {"toolkit": figures}}
    return {"tables": {"films": table, "topics": second}, "left_out": {"digits": "no model"}}


def test_the_table_marks_the_best_and_leaves_out_what_is_missing():
    films, topics, mean = defaults.markdown(record()).splitlines()[2:5]
    assert films.split(" | ")[4:6] == ["**80.0** / 75.0, 70 s", "70.0 / 60.0, 50 s |"]
    assert topics.split(" | ")[5].startswith("–")
    assert mean.split("|")[5].strip() == "75.0, median 60 s"
    assert mean.split("|")[6].strip() == "70.0 (1: -10.0), median 50 s"
    assert "digits" in defaults.markdown(record()).splitlines()[-1]


def test_tables_of_words_have_the_f1_of_entities():
    figures = {"entity_f1": 0.3, "cpu_seconds": 50.0}
    words = {"rows": 500, "test_rows": 1000, "classes": 13, "half_width": 0.04, "contenders": {"toolkit": figures}}
    (row,) = defaults.markdown({"tables": {"entities": words}, "left_out": {}}).splitlines()[2:3]
    assert row.split(" | ")[3:5] == ["4.0", "**30.0**, 50 s |"]


def test_a_comparison_within_a_budget_shows_the_seconds_of_the_clock():
    row = {
        "table": "films",
        "rows": 400,
        "seconds": 60,
        "contenders": {"toolkit": {"accuracy": 0.7, "wall_seconds": 58.0}},
    }
    assert (
        defaults.markdown({**record(), "budgets": [row]}).splitlines()[-1] == "| films | 400 | 60 s | **70.0**, 58 s |"
    )


def test_sentences_of_conll_are_read_with_their_labels(tmp_path):
    (tmp_path / "wnut17train.conll").write_text("Ada\tB-person\n.\tO\n\t\nNo\tO\n", encoding="utf-8")
    (tmp_path / "emerging.test.annotated").write_text("Yes\tO\n", encoding="utf-8")
    train, test = default_data.entities(tmp_path, 2)()
    assert sorted(train) == [(["Ada", "."], ["B-person", "O"]), (["No"], ["O"])]
    assert test == [(["Yes"], ["O"])]
    default_data.write(tmp_path / "written", train, test)
    assert (tmp_path / "written" / "test.jsonl").read_text(encoding="utf-8") == '{"words": ["Yes"], "labels": ["O"]}\n'


def test_the_interval_is_that_of_wilson():
    from scipy.stats import binomtest

    interval = binomtest(700, 1000).proportion_ci(method="wilson")
    assert defaults.half_width(0.7, 1000) == pytest.approx((interval.high - interval.low) / 2, abs=1e-6)


def test_rows_to_learn_from_and_test_rows_are_apart():
    train, test = default_data.digits(300)()
    assert (len(train), len(test)) == (300, 500)
    seen = {pixels.tobytes() for pixels, _ in train}
    assert not any(pixels.tobytes() in seen for pixels, _ in test)


def test_pictures_are_written_by_class(tmp_path):
    rows = [(np.zeros((4, 4), np.uint8), "a"), (np.ones((4, 4), np.uint8), "b")]
    default_data.write(tmp_path, rows, rows)
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")) == [
        "test/a/00000.png", "test/b/00001.png", "train/a/00000.png", "train/b/00001.png",
    ]  # fmt: skip
