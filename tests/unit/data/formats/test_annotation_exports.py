"""Files in the export formats that the tools document."""

import json

import pytest

from toolkit.data.formats import annotation_exports
from toolkit.data.sources import entity_files, row_stream
from toolkit.data.sources.local_files import read


def task(text, *answers, cancelled=()):
    """A task of Label Studio with an annotation for each answer."""
    return {
        "id": 1,
        "project": 83,
        "data": {"text": text, "position": 7, "selected_by": "random"},
        "annotations": [
            {
                "id": number,
                "completed_by": number,
                "was_cancelled": number in cancelled,
                "ground_truth": False,
                "result": [
                    {
                        "from_name": "label",
                        "to_name": "text",
                        "type": "choices",
                        "value": {"choices": answer},
                        "id": "x",
                    }
                ],
            }
            for number, answer in enumerate(answers)
        ],
        "predictions": [
            {"result": [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["wrong"]}}]}
        ],
    }


def rows_of(tmp_path, content, name="export.json"):
    file = tmp_path / name
    lines = content if isinstance(content, str) else json.dumps(content)
    file.write_text(lines, encoding="utf-8")
    table = read(file).parts["all"]
    streamed = [row.values for row in row_stream.rows(str(file))]
    plain = table.drop_columns(["_file", "_row"]).to_pylist()
    assert [{k: v for k, v in row.items() if v is not None} for row in streamed] == [
        {k: v for k, v in row.items() if v is not None} for row in plain
    ]
    return plain


def test_label_studio_export_has_data_and_choices(tmp_path):
    rows = rows_of(tmp_path, [task("a film", ["good"]), task("another"), task("third", ["bad"], cancelled=(0,))])
    assert [row["label"] for row in rows] == [["good"], None, None]
    assert rows[0] | {"label": None} == {"text": "a film", "position": 7, "selected_by": "random", "label": None}


def test_label_of_most_annotators_counts(tmp_path):
    rows = rows_of(tmp_path, [task("x", ["good"], ["bad"], ["good"]), task("y", ["good"], ["bad"])])
    assert [row["label"] for row in rows] == [["good"], None]
    assert annotation_exports.agreed([["b", "a"], ["b", "a"], ["c"]]) == ["b", "a"]
    assert annotation_exports.row(task("x", ["b", "a"], ["a", "b"]))["label"] == ["a", "b"]


def test_local_files_of_label_studio_are_paths():
    item = task("x", ["cat"]) | {"data": {"image": "/data/local-files/?d=pictures/a%20b.png"}}
    assert annotation_exports.row(item)["image"] == "pictures/a b.png"


def test_stars_and_numbers_of_label_studio():
    item = task("x", ["a"])
    for kind, value in (("rating", 4), ("number", 2.5)):
        item["annotations"][0]["result"][0] |= {"type": kind, "value": {kind: value}}
        assert annotation_exports.row(item)["label"] == value


def test_short_export_of_label_studio(tmp_path):
    item = {
        "text": "x",
        "id": 1,
        "label": {"choices": ["b", "a"]},
        "annotator": 1,
        "annotation_id": 3,
        "lead_time": 9.3,
    }
    assert rows_of(tmp_path, [item]) == [{"text": "x", "id": 1, "label": ["a", "b"]}]
    plain = {"text": "x", "label": "a", "annotation_id": 3}
    assert annotation_exports.row(plain) == plain


def test_argilla_records(tmp_path):
    records = [
        {
            "id": str(number),
            "fields": {"text": text},
            "metadata": {"selected_by": "random"},
            "suggestions": {"label": {"value": "wrong", "score": 0.9, "agent": "model"}},
            "responses": responses,
            "vectors": {},
            "_server_id": "6",
        }
        for number, (text, responses) in enumerate(
            [("x", {"label": [{"value": "good", "user_id": "u"}]}), ("y", {"label": []}), ("z", {})]
        )
    ]
    rows = rows_of(tmp_path, records)
    assert [(row["text"], row["label"], row["selected_by"]) for row in rows] == [
        ("x", "good", "random"),
        ("y", None, "random"),
        ("z", None, "random"),
    ]


def test_flattened_argilla_records(tmp_path):
    record = {
        "id": "1",
        "text": "x",
        "label.responses": ["good", "good", "bad", "bad", "bad"],
        "label.responses.users": ["u", "v", "w", "x", "y"],
        "label.responses.status": ["submitted", "submitted", "submitted", "draft", "discarded"],
        "label.suggestion": "bad",
        "label.suggestion.score": 0.5,
    }
    assert rows_of(tmp_path, [record]) == [{"id": "1", "text": "x", "label": "good"}]


def test_doccano_lines_are_lists_of_labels(tmp_path):
    lines = '{"id": 1, "text": "x", "label": ["good"], "Comments": []}\n{"id": 2, "text": "y", "label": []}\n'
    rows = rows_of(tmp_path, lines, "all.jsonl")
    assert [row["label"] for row in rows] == [["good"], []]


@pytest.mark.parametrize(
    "item",
    [
        task("Ann is in Rome", ["a"])
        | {
            "annotations": [
                {
                    "result": [
                        {"from_name": "label", "type": "labels", "value": {"start": s, "end": e, "labels": [kind]}}
                        for s, e, kind in ((0, 3, "PER"), (10, 14, "LOC"))
                    ]
                }
            ]
        },
        {
            "fields": {"text": "Ann is in Rome"},
            "responses": {
                "spans": [{"value": [{"start": 0, "end": 3, "label": "PER"}, {"start": 10, "end": 14, "label": "LOC"}]}]
            },
        },
    ],
)
def test_marked_parts_are_entities(tmp_path, item):
    file = tmp_path / "spans.json"
    file.write_text(json.dumps([item]), encoding="utf-8")
    tables = entity_files.read(file)
    assert tables is not None
    (row,) = tables.parts["all"].to_pylist()
    assert row["labels"] == ["B-PER", "O", "O", "B-LOC"]


def test_other_rows_are_unchanged():
    for item in ({"text": "x", "label": "a"}, {"data": "x", "annotations": []}, {"fields": {}}, [1], "x", None):
        assert annotation_exports.row(item) == item
