"""JSON Schemas are valid, describe every key, and notice keys that were added, removed or changed."""

import copy
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.support.json_documents import SCHEMAS, problems
from tests.support.reports import sample
from toolkit.api.analysis.explain import Explanation
from toolkit.api.documents.document import COMMANDS, Failure, Problem, as_json, envelope
from toolkit.api.documents.explanation import Explained
from toolkit.api.documents.json_schema import described, of_shape, of_type
from toolkit.api.documents.preparation import Diagnosis
from toolkit.api.documents.schemas import find
from toolkit.doctor.check import Check
from toolkit.errors import ConfigError
from toolkit.report.document.head import head


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_a_valid_one_of_its_own_identifier(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:finetune-toolkit:schema:{name}:1"
    assert find(name) == schema


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_of_a_document_has_a_meaning(command: str) -> None:
    def undescribed(schema: Any, place: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        keys = schema.get("properties", {})
        own = (
            [f"{place}.{key}" for key, part in keys.items() if "description" not in part] if "title" not in keys else []
        )
        inner = [found for key, part in keys.items() for found in undescribed(part, f"{place}.{key}")]
        return own + inner + undescribed(schema.get("items"), f"{place}[]")

    schema = SCHEMAS[command.replace(" ", "-")]
    body = {key: part for key, part in schema["properties"].items() if key not in (*envelope(None), "shift")}
    assert undescribed({"properties": body}, command) == []
    assert set(described(COMMANDS[command])) == {"command", *COMMANDS[command].__dataclass_fields__}


def diagnosis() -> dict[str, Any]:
    return Diagnosis.of([Check("Python", "ok", "3.12"), Check("disk", "fault", "full", "Free some.")]).as_json()


def test_documents_are_closed() -> None:
    good = diagnosis()
    assert problems("doctor", good) == []
    for key in good:
        assert problems("doctor", {name: value for name, value in good.items() if name != key}) != [], key
    assert problems("doctor", {**good, "more": 1}) != []
    assert problems("doctor", {**good, "command": "runs list"}) != []
    assert problems("doctor", {**good, "schema_version": 2}) != []
    assert problems("doctor", {**good, "checks": [{**good["checks"][0], "verdict": "fine"}]}) != []
    del good["checks"][0]["fix"]
    assert problems("doctor", good) != []


def test_failures_are_closed() -> None:
    good = {**envelope(None), **as_json(Failure(Problem("run.other", "It failed.", "Repeat it.", 1)))}
    assert problems("failure", good) == []
    assert problems("failure", {**good, "error": {**good["error"], "exit_code": "1"}}) != []
    assert problems("failure", {**good, "error": {"id": "run.other"}}) != []


def changed(report: dict[str, Any], *path: str | int, remove: bool = False) -> dict[str, Any]:
    """Return a copy with a further key at a place, or without the last one of the path."""
    report = copy.deepcopy(report)
    part: Any = report
    for key in path[:-1]:
        part = part[key]
    if remove:
        del part[path[-1]]
    else:
        part[path[-1]] = 1
    return report


def test_reports_are_of_their_schema_with_what_it_promises() -> None:
    report = json.loads(json.dumps(sample()))
    assert problems("report.json", report) == []
    for path in (["more"], ["evaluation", "more"], ["evaluation", "metrics", 0, "more"], ["verdict", "more"]):
        assert problems("report.json", changed(report, *path)) != [], path
    metric = ["evaluation", "metrics", 0]
    needed = ["schema_version"], ["command"], ["verdict"], ["verdict", "headline"], ["evaluation"], [*metric, "low"]
    for path in needed:
        assert problems("report.json", changed(report, *path, remove=True)) != [], path
    assert problems("report.json", changed(report, "evaluation", "confusion", remove=True)) == []
    assert problems("report.json", {**report, "schema_version": 2}) != []


def test_values_become_json() -> None:
    given = {
        "a": math.nan,
        "b": [math.inf, 1.5],
        "c": np.float32(0.5),
        "d": np.arange(2),
        "e": Path("x/y"),
        3: (True, None),
    }
    expected = {"a": None, "b": [None, 1.5], "c": 0.5, "d": [0, 1], "e": "x/y", "3": [True, None]}
    assert as_json(given) == expected
    assert problems("failure", as_json(given)) != []


VERDICT = {"headline": "It is faithful.", "statements": [], "warnings": []}
SECOND = {"number": 2, "word": "film"}
WORDS = {"words": ["good", "film"], "sources": [], "scores": {"leave-one-out": [0.5, 0.1]}}


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (
            {
                "unit": "link",
                "texts": [
                    {
                        "source": "a dog",
                        "translation": "un chien",
                        "links": [[1, 1]],
                        "source_words": ["a", "dog"],
                        "target_words": ["un", "chien"],
                    }
                ],
            },
            {"prediction": "un chien", "links": [{"source": 1, "target": 1}], "scores": []},
        ),
        (
            {
                "unit": "word",
                "of_numbers": False,
                "methods": [{"name": "leave-one-out"}],
                "texts": [
                    {"text": "good film", "prediction": "B-X", "probability": 0.9, "asked": {"number": 2}, **WORDS}
                ],
            },
            {"prediction": "B-X", "probability": 0.9, "word": 2, "scores": [0.5, 0.1], "links": []},
        ),
        (
            {
                "unit": "word",
                "of_numbers": True,
                "methods": [{"name": "leave-one-out"}],
                "texts": [{"text": "good film", "prediction": "4.1", "asked": None, **WORDS}],
            },
            {"prediction": "4.1", "probability": None, "word": None},
        ),
        ({}, None),
    ],
    ids=["translation", "word", "number", "measurement"],
)
def test_explanations_of_each_kind(content: dict[str, Any], first: dict[str, Any] | None) -> None:
    result = Explanation(Path("why") if content else None, {**content, "verdict": VERDICT})
    printed = Explained.of(result).as_json()
    assert problems("explain", printed) == []
    if first is None:
        assert (printed["path"], printed["explained"]) == (None, [])
    else:
        assert {key: printed["explained"][0][key] for key in first} == first


@dataclass(frozen=True)
class Inner:
    """A part.

    Attributes:
        number: A number,
            in two lines.
    """

    number: int


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (float, {"type": ["number", "null"]}),
        (str | None, {"type": ["string", "null"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (list[str] | None, {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}),
    ],
)
def test_types(kind: Any, schema: dict[str, Any]) -> None:
    assert of_type(kind) == schema


def test_dataclasses_and_shapes() -> None:
    inner = of_type(Inner)
    assert inner["properties"] == {"number": {"description": "A number, in two lines.", "type": "integer"}}
    assert (inner["required"], inner["additionalProperties"]) == (["number"], False)
    interval = of_shape({"value": float, "low": float, "high": float})
    assert interval["required"] == ["value", "low", "high"]
    assert "required" not in of_shape({"rate": float, "low": float})
    with pytest.raises(TypeError):
        of_type(set[int])


def test_free_names_have_values_of_one_shape() -> None:
    schema = of_shape({str: {"score": float}})
    jsonschema.validate({"a": {"score": 1}, "b": None}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a": {"points": 1}}, schema)


def explained_word() -> dict[str, Any]:
    """What `toolkit explain` writes of one text by one method, without a measurement."""
    text = {**WORDS, "asked": None, "text": "good film", "tokens": ["good", "film"], "special_tokens": []}
    answer = {"prediction": "positive", "predicted": True, "probability": 0.9, "value": None}
    return {
        **head("toolkit explain run 'good film'", datetime(2026, 1, 2, tzinfo=UTC)),
        "model": {"name": "run", "origin": "run/model", "labels": ["negative", "positive"]},
        "unit": "word",
        "of_numbers": False,
        "verdict": VERDICT,
        "notes": [],
        "methods": [{"name": "leave-one-out", "title": "Leave-one-out", "about": "a drop", "signed": True}],
        "trust": None,
        "regions": None,
        "texts": [{**text, **answer, "special": {}, "completeness_error": None}],
    }


def test_explanations_have_one_of_two_forms() -> None:
    good = explained_word()
    assert problems("explanation.json", good) == []
    for key in good:
        assert problems("explanation.json", {name: value for name, value in good.items() if name != key}) != [], key
    for part in ({"unit": "link"}, {"more": 1}, {"schema_version": 2}, {"texts": [{"scores": {"lime": ["a"]}}]}):
        assert problems("explanation.json", {**good, **part}) != [], part


def test_a_batch_is_what_watch_prints_without_its_files() -> None:
    batch, printed = SCHEMAS["batches.jsonl"], SCHEMAS["watch"]
    assert set(printed["required"]) - set(batch["required"]) == {"path", "page", *envelope(None)}


def test_unknown_schema_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        find("nosuch")
    assert error.value.id == "config.unknown-choice"
