"""Stored runs for technical documentation, and figures looked up again, without the code that filled them in."""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import toolkit
from toolkit import runs
from toolkit.config.files import read_file
from toolkit.report.document.portable import portable
from toolkit.runs import checksums

_STEP = re.compile(r'\.?([A-Za-z_]\w*)|\["((?:\\.|[^"\\])*)"\]|\[(\d+)\]')
_NUMBER = re.compile(r"[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_BYTES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_SECONDS = {"h": 3600, "min": 60, "s": 1}


def make_run(folder: Path, report: dict[str, Any], **facts: Any) -> Path:
    """Write the files of a run of the recipe `sentiment` that a report could be of."""
    run = runs.Run(folder / "run")
    data = {name: report["data"][name] for name in ("source", "origin", "fingerprint", "splits")}
    runs.write_json(
        run.path / "run.json",
        {
            "status": "complete",
            "command": report["command"],
            "recipe": "sentiment",
            "created": report["created"],
            "finished": report["created"],
            "model": report["model"]["origin"],
            "data": data,
            "environment": report["environment"],
            **facts,
        },
    )
    runs.write_text(run.path / "config.yaml", yaml.safe_dump(report["config"]))
    runs.write_json(run.path / "report.json", report)
    runs.write_json(run.model / runs.CARD, {"recipe": "sentiment", "labels": ["negative", "positive"]})
    runs.write_text(run.model / "model.safetensors", "weights")
    checksums.record(run.path, ["report.json", "model/model.safetensors"])
    return run.path


def documented(run: Path, least: int = 60, **words: Any) -> dict[str, Any]:
    """Write the documentation of a run, check each of its at least `least` figures, and return its content."""
    content = toolkit.dossier(run, progress=False, **words).content
    figures = list(_figures(content))
    assert len(figures) >= least
    for figure in figures:
        value = _value(run, figure["file"], figure["key"])
        if isinstance(value, dict) and "value" in value:
            value = {name: value.get(name) for name in ("value", "low", "high")}
        assert figure["value"] == portable(value) or (figure["value"] in (None, "", [], {}) and not value), figure
        _check_text(figure["text"], value, figure)
    for point in content["points"]:
        for entry in point["entries"]:
            rows = [row for block in entry["content"] for row in block.get("rows", ())]
            assert bool(rows) == (entry["state"] == "from the run"), entry
            assert ("command" in entry) == (entry["state"] == "not measured"), entry
    return content


def states(content: dict[str, Any]) -> dict[str, str]:
    """Return heading → state of each entry."""
    return {entry["title"]: entry["state"] for point in content["points"] for entry in point["entries"]}


def entry_of(content: dict[str, Any], title: str) -> dict[str, Any]:
    """Return the entry with a heading."""
    entries = (entry for point in content["points"] for entry in point["entries"])
    return next(entry for entry in entries if entry["title"] == title)


def _figures(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for point in content["points"]:
        for entry in point["entries"]:
            for block in entry["content"]:
                for row in block.get("rows", ()):
                    yield from (cell for cell in row if "file" in cell)


def _value(run: Path, name: str, key: str) -> Any:
    file = run / name
    if key in ("bytes", "sha256"):
        return file.stat().st_size if key == "bytes" else hashlib.sha256(file.read_bytes()).hexdigest()
    value = read_file(file) if file.suffix == ".yaml" else json.loads(file.read_text(encoding="utf-8"))
    position = 0
    while position < len(key):
        step = _STEP.match(key, position)
        assert step is not None, key
        name, quoted, number = step.groups()
        part = int(number) if number else name or quoted.replace('\\"', '"').replace("\\\\", "\\")
        value = value.get(part) if isinstance(value, dict) else value[part]
        position = step.end()
    return value


def _check_text(text: str, value: Any, figure: dict[str, Any]) -> None:
    """Compare what is shown with the value, to the digits that are shown."""
    if value in (None, "", [], {}):
        assert text == "–", figure
    elif isinstance(value, bool):
        assert text == ("yes" if value else "no"), figure
    elif isinstance(value, str):
        assert text.removesuffix("…") == portable(value)[: len(text.removesuffix("…"))], figure
    elif isinstance(value, int | float):
        _check_number(text, value, figure)
    elif isinstance(value, dict) and "value" in value:
        ends = re.fullmatch(r"(.*?) \((.*) to (.*)\)", text)
        unit = " %" if "%" in text or "points" in text else ""
        _check_number(ends[1] if ends else text, value["value"], figure)
        for end, name in zip(ends.groups()[1:] if ends else (), ("low", "high"), strict=False):
            _check_number(f"{end}{unit}", value[name], figure)
    else:
        assert all(str(portable(item)) in text for item in value), figure


def _check_number(text: str, value: float | None, figure: dict[str, Any]) -> None:
    if value is None:
        assert text == "–", figure
        return
    if text == "< 0.001":
        assert value < 0.001, figure
        return
    shown, scale = _NUMBER.findall(text), 1.0
    units = re.findall(r"[A-Za-z%]+", re.sub(r"\de[-+]\d", "", text))
    if any(unit in ("%", "points") for unit in units):
        scale = 100.0
    elif units and units[0] in _BYTES:
        scale = 1 / _BYTES[units[0]]
    elif len(shown) > 1 and units and units[0] in _SECONDS:
        assert math.isclose(
            sum(float(n.replace(",", "")) * _SECONDS[unit] for n, unit in zip(shown, units, strict=True)),
            value,
            abs_tol=60 if "h" in units else 1,
        ), figure
        return
    number = shown[0].replace(",", "").replace("−", "-")
    mantissa, _, exponent = number.partition("e")
    last = 10.0 ** -len(mantissa.partition(".")[2]) * (10.0 ** int(exponent) if exponent else 1)
    assert abs(float(number) - value * scale) <= 0.5001 * last + 1e-9 * abs(value * scale), figure
