"""Exported facts contain no local path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.report.document.portable import portable, quoted, without_examples


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/zaphod/reviews.csv", "./reviews.csv"),
        ("toolkit finetune x --data=/srv/zaphod/my.csv --epochs 1", "toolkit finetune x --data=my.csv --epochs 1"),
        ("toolkit finetune '/home/zaphod/my data/a.csv'", "toolkit finetune './my data/a.csv'"),
        ("/home/zaphod/models/bert", "./models/bert"),  # models/bert would be a repository on the Hub

        ("~/models/bert", "bert"),
        ("org/name", "org/name"),
        ("pkg://package/path/inside", "pkg://package/path/inside"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("24/7 and/or this", "24/7 and/or this"),
        ("runs/sentiment-1", "runs/sentiment-1"),
    ],
)  # fmt: skip
def test_paths_keep_their_last_part(text, left):
    assert portable(text, ["/home/zaphod"]) == left


def test_everywhere_in_a_report():
    report = {"data": {"source": "/a/b/c.csv", "splits": [{"name": "/a/b/d", "rows": 3}]}, "loss": None}
    assert portable(report) == {"data": {"source": "c.csv", "splits": [{"name": "d", "rows": 3}]}, "loss": None}


@given(st.lists(st.text("abz09_.-", min_size=1).filter(lambda part: part not in (".", "..")), min_size=2, max_size=5))
def test_no_folder_of_an_absolute_path_stays(parts):
    assert portable("/" + "/".join(parts)) == parts[-1]


def test_examples_are_taken_out():
    evaluation = {"rows": 9, "errors": [{"text": "mine"}], "label_errors": {"doubted": 1, "examples": [{"text": "x"}]}}
    bare = without_examples(evaluation)
    assert bare == {"rows": 9, "errors": [], "label_errors": {"doubted": 1, "examples": []}}
    assert (quoted(evaluation), quoted(bare)) == (True, False)
