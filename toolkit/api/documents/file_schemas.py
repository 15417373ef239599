"""The JSON Schemas of files that programs read: reports, explanations, records, and what lies next to weights."""

from collections.abc import Mapping
from typing import Any

import toolkit
from toolkit import model_metadata
from toolkit.api.documents.analysis import WatchedBatch
from toolkit.api.documents.document import SCHEMA_VERSION
from toolkit.api.documents.json_schema import DIALECT, of_dataclass, of_shape
from toolkit.config import RunConfig
from toolkit.exporting.schema import Export
from toolkit.report.document import head
from toolkit.report.document.schema import REPORT
from toolkit.report.pages.attention.schema import ALIGNMENT, EXPLANATION

_OF_EVERY_REPORT = ("schema_version", "toolkit_version", "created", "title", "command", "verdict")
_SUBJECTS = ("evaluation", "comparison", "seeds")  # of which a report has one
_RUN = {
    **{key: {"type": "string"} for key in ("command", "recipe", "created", "model")},
    "status": {"enum": ["running", "complete", "interrupted", "failed"]},
    "data": of_shape(REPORT["data"]) | {"type": "object", "additionalProperties": True},
    "labels": {"type": "array", "items": {"type": "string"}},
    "training": {"type": ["object", "null"]},
    "environment": {"type": "object"},
}
_LATER = ("training", "environment")  # written when they are known
_INPUT = {"type": "object", "properties": {"required": {"type": "boolean"}, "learned": {"type": "object"}}}
_FACTS: dict[str, dict[str, Any]] = {  # the entries of toolkit.json that are no values of the configuration
    "recipe": {"type": "string", "description": "Name of the recipe, or file of your own"},
    "labels": {"type": "array", "items": {"type": "string"}, "description": "Names of the classes, by their numbers"},
    "inputs": {"type": "object", "additionalProperties": _INPUT, "description": "Role → what training rows told"},
    "calibration": {"type": "object", "description": "What was determined on validation rows"},
    "pruned_heads": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "description": "Number of a layer → numbers of the heads that were left out",
    },
}


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return name of a file → schema; of batches.jsonl it is that of a line."""
    return {
        "report.json": _report(),
        "run.json": _run(),
        "export.json": _export(),
        "explanation.json": _explanation(),
        "toolkit.json": _model(),
        "batches.jsonl": _batch(),
    }


def head_of(name: str, version: int, title: str) -> dict[str, Any]:
    """Return the first keys of a schema."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:finetune-toolkit:schema:{name}:{version}",
        "title": title,
        "$comment": f"Of finetune-toolkit {toolkit.__version__}.",
    }


def _report() -> dict[str, Any]:
    body = of_shape(REPORT)
    body["type"] = "object"
    body["properties"]["schema_version"] = {"const": head.SCHEMA_VERSION}
    for key in _OF_EVERY_REPORT[1:]:
        kept = body["properties"][key]
        body["properties"][key] = {**kept, "type": "object" if key == "verdict" else "string"}
    body["properties"]["verdict"]["required"] = list(REPORT["verdict"])
    subjects = [{"required": [key], "properties": {key: {"type": "object"}}} for key in _SUBJECTS]
    named = head_of("report.json", head.SCHEMA_VERSION, "The report of an evaluation, a comparison or several seeds")
    return {**named, **body, "required": list(_OF_EVERY_REPORT), "oneOf": subjects}


def _run() -> dict[str, Any]:
    named = head_of("run.json", SCHEMA_VERSION, "The record of a run directory; it may have further keys")
    required = [key for key in _RUN if key not in _LATER]
    return {**named, "type": "object", "properties": _RUN, "required": required}


def _export() -> dict[str, Any]:
    named = head_of("export.json", SCHEMA_VERSION, "The record of an export; other keys are those of transformers")
    return {
        **named,
        **Export.model_json_schema(mode="serialization"),
        "title": named["title"],
        "additionalProperties": True,
    }


def _explanation() -> dict[str, Any]:
    named = head_of("explanation.json", head.SCHEMA_VERSION, "An explanation of predictions, or a word alignment")
    return {**named, "oneOf": [_explained(EXPLANATION, ["word", "patch"]), _explained(ALIGNMENT, ["link"])]}


def _explained(shape: Mapping[str, Any], units: list[str]) -> dict[str, Any]:
    """Return one of the two forms of an explanation, which its unit tells apart."""
    body = of_shape(shape)
    body["type"] = "object"
    body["properties"] |= {"schema_version": {"const": head.SCHEMA_VERSION}, "unit": {"enum": units}}
    return {**body, "required": list(shape)}


def _model() -> dict[str, Any]:
    """Return the schema of toolkit.json: the values of the configuration that a folder may set, and facts."""
    whole = RunConfig.model_json_schema(mode="serialization")
    properties: dict[str, Any] = dict(_FACTS)
    for section, *keys in model_metadata.VALUES:
        if not keys:
            properties[section] = whole["properties"][section]
            continue
        definition = whole["$defs"][whole["properties"][section]["$ref"].rpartition("/")[2]]
        empty = {"type": "object", "properties": {}, "additionalProperties": False}
        kept = properties.setdefault(section, empty)["properties"]
        kept |= {key: definition["properties"][key] for key in keys}
    named = head_of("toolkit.json", SCHEMA_VERSION, "What the folder of a model tells later commands")
    return {
        **named,
        "type": "object",
        "properties": properties,
        "required": ["recipe"],
        "additionalProperties": False,
    }


def _batch() -> dict[str, Any]:
    body = of_dataclass(WatchedBatch)
    kept = {key: part for key, part in body["properties"].items() if key not in ("path", "page")}
    named = head_of("batches.jsonl", SCHEMA_VERSION, "A line for each batch of new rows that a run was compared with")
    return {**named, **body, "properties": kept, "required": list(kept)}
