"""The Hub's rules for the metadata of a model card, as far as a push depends on them."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "cc-by-nc-4.0", "bsd-3-clause", "gpl-3.0", "openrail", "other", "unknown"}


def card_errors(content: str) -> list[str]:
    """Return the errors of a card as the Hub does: the path of a key, and its problem."""
    head = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    try:
        metadata = yaml.safe_load(head[1]) if head else {}
    except yaml.YAMLError as error:
        return [f"Invalid YAML: {error}"]
    return list(_errors(metadata or {}))


def _errors(metadata: dict[str, Any]) -> Iterator[str]:
    if metadata.get("license", "other") not in LICENCES:
        yield f'"license" must be one of {sorted(LICENCES)}'
    for name in ("datasets", "metrics", "tags"):
        if not all(isinstance(item, str) for item in metadata.get(name, [])):
            yield f'"{name}" must be strings'
    for number, model in enumerate(metadata.get("model-index", [])):
        if not model.get("name"):
            yield f'"model-index[{number}].name" is required'
        for result in model.get("results", []):
            if not result["task"].get("type") or not {"type", "name"} <= result["dataset"].keys():
                yield f'"model-index[{number}].results" must name a task and a dataset'
            if not all(metric.get("type") and "value" in metric for metric in result["metrics"]):
                yield f'"model-index[{number}].results" must have metrics with type and value'
