"""Rows of files that labelling tools export: Label Studio, Argilla and Doccano.

Label Studio, JSON      {"data": {"text": …}, "annotations": [{"result": [{"from_name": "label", "value": …}]}]}
Label Studio, JSON_MIN  {"text": …, "label": "good" or {"choices": ["good", "new"]}, "annotation_id": …}
Argilla, to_json        {"fields": {"text": …}, "responses": {"label": [{"value": "good", "user_id": …}]}}
Argilla, flattened      {"text": …, "label.responses": ["good"], "label.responses.users": […]}
Doccano                 {"text": …, "label": ["good"]}: read as any list of labels, see `columns.single_labels`

Marked parts of a text become entities, see `marked_entities`. Where several annotators labelled a row, the label of
most of them counts; of a tie none, and the row is one without a label.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

LOCAL_FILE = "/data/local-files/?d="  # address of a file that Label Studio serves
_KINDS = ("choices", "rating", "number", "text", "taxonomy")  # keys of a value, where it is the label of the row
_MARKS = ("labels", "hypertextlabels")
_BESIDE = ("annotation_id", "annotator", "lead_time")  # keys of JSON_MIN
_RESPONSES = ".responses"
_SUBMITTED = "submitted"  # status of a response that is neither a draft nor discarded


def row(item: Any) -> Any:
    """Return the plain row of an exported item; any other item as it is."""
    if not isinstance(item, dict):
        return item
    if isinstance(item.get("data"), dict) and isinstance(item.get("annotations"), list):
        return _label_studio(item["data"], item["annotations"])
    if isinstance(item.get("fields"), dict) and isinstance(item.get("responses"), dict):
        return _argilla(item["fields"], item["responses"], item.get("metadata"))
    if any(isinstance(key, str) and key.endswith(_RESPONSES) for key in item):
        return _flattened(item)
    if "annotation_id" in item and any(isinstance(value, dict) and "choices" in value for value in item.values()):
        chosen = {key: _choices(value) for key, value in item.items() if key not in _BESIDE}
        return {key: value for key, value in chosen.items() if value is not None}
    return item


def _label_studio(data: Mapping[str, Any], annotations: Sequence[Any]) -> dict[str, Any]:
    """Return the row of a task: its data, and what its annotations say under the name of each control."""
    answers: dict[str, list[Any]] = {}
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        given: dict[str, Any] = {}
        for result in annotation.get("result") or ():
            name, value = result.get("from_name"), result.get("value")
            if not isinstance(name, str) or not isinstance(value, dict):
                continue
            marks = next((value[key] for key in _MARKS if isinstance(value.get(key), list)), None)
            if marks is not None and "start" in value and "end" in value:
                given.setdefault("entities", []).extend([value["start"], value["end"], mark] for mark in marks)
            else:
                kind = next((kind for kind in _KINDS if kind in value), None)
                given |= {} if kind is None else {name: _one(value[kind])}
        for name, answer in given.items():
            answers.setdefault(name, []).append(answer)
    plain = {name: _local(value) for name, value in data.items()}
    return {**plain, **{name: agreed(given) for name, given in answers.items()}}


def _argilla(fields: Mapping[str, Any], responses: Mapping[str, Any], metadata: Any) -> dict[str, Any]:
    """Return the row of a record: its fields and metadata, and the response to each question."""
    answers = {
        question: agreed([one["value"] for one in given or () if isinstance(one, dict) and "value" in one])
        for question, given in responses.items()
    }
    return {**(metadata if isinstance(metadata, dict) else {}), **fields, **_with_entities(answers)}


def _flattened(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a record whose responses are lists beside its fields."""
    questions = [key.removesuffix(_RESPONSES) for key in item if key.endswith(_RESPONSES)]
    own = {
        key: value
        for key, value in item.items()
        if not any(key.startswith((f"{name}{_RESPONSES}", f"{name}.suggestion")) for name in questions)
    }
    answers = {}
    for name in questions:
        given = item[f"{name}{_RESPONSES}"] or ()
        status = item.get(f"{name}{_RESPONSES}.status") or [_SUBMITTED] * len(given)
        answers[name] = agreed([one for one, state in zip(given, status, strict=False) if state == _SUBMITTED])
    return {**own, **_with_entities(answers)}


def _with_entities(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return answers; marked parts of a text as entities."""
    return {
        "entities" if isinstance(value, list) and value and all(isinstance(one, dict) for one in value) else name: value
        for name, value in answers.items()
    }


def agreed(answers: Sequence[Any]) -> Any:
    """Return the answer of most annotators; None where there is none, or a tie."""
    given = [answer for answer in answers if answer is not None]
    counted = Counter(map(repr, given)).most_common(2)
    if not counted or (len(counted) == 2 and counted[0][1] == counted[1][1]):
        return None
    return next(answer for answer in given if repr(answer) == counted[0][0])


def _one(value: Any) -> Any:
    """Return choices in one order, so that annotators who agree are seen to; of a path in a taxonomy its end."""
    if not isinstance(value, list):
        return value
    return sorted(str(one[-1]) if isinstance(one, list) and one else str(one) for one in value)


def _choices(value: Any) -> Any:
    return _one(value["choices"]) if isinstance(value, dict) and "choices" in value else value


def _local(value: Any) -> Any:
    """Return the path of a file that Label Studio serves; other values as they are."""
    served = isinstance(value, str) and value.startswith(LOCAL_FILE)
    return unquote(value.removeprefix(LOCAL_FILE)) if served else value
