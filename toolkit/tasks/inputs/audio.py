"""A recording."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig, EvaluationConfig
from toolkit.data.audio import columns, decoding
from toolkit.data.media.validate import validate
from toolkit.evaluation.checks import robustness
from toolkit.evaluation.perturbations.counterfactual import CounterfactualModel
from toolkit.tasks.inputs import files
from toolkit.tasks.task import Checked, Column, Input


def _check(parts: Mapping[str, pa.Table], column: Column, config: DataConfig) -> Checked:
    """Leave out what cannot be decoded or is too long, and note silent recordings, which are kept."""
    checked = validate(parts, column, config, columns.RECORDINGS)
    silent = [
        str(row["_file"])
        for rows in checked.parts.values()
        if column.role in rows.column_names
        for row in rows.filter(pc.less(pc.struct_field(rows[column.role], "peak"), decoding.SILENT)).to_pylist()
    ]
    if not silent:
        return checked
    note = f"{len(silent):,} recordings are silent (first: {silent[0]})."
    return replace(checked, counts={**checked.counts, "silent": len(silent)}, notes=[*checked.notes, note])


def _sizes(lengths: Any, unit: str) -> tuple[str, str]:
    median, high = np.quantile(lengths, [0.5, 0.95]) / 1000
    return "length", f"median {median:.2f}, 95 % under {high:.2f}, longest {lengths.max() / 1000:.2f} seconds"


def _properties(recordings: Sequence[Mapping[str, Any] | None]) -> dict[str, list[float]]:
    """Return the length, the sample rate and the largest amplitude of each recording."""
    facts = {"seconds": "seconds", "samples per second": "rate", "largest amplitude": "peak"}
    return {name: [float((row or {}).get(fact) or 0.0) for row in recordings] for name, fact in facts.items()}


def _changes(
    model: CounterfactualModel,
    examples: Sequence[tuple[Any, ...]],
    places: Sequence[Any],
    truth: Sequence[int],
    _settings: EvaluationConfig,
) -> dict[str, Any]:
    return robustness.of_recordings(model, examples, places, truth)


AUDIO = Input(
    name="audio",
    nouns=columns.RECORDINGS.nouns,
    modality="audio",
    type=columns.TYPE,
    in_shape=lambda table, name: table[name],  # `_check` and `read` know where its files are
    check=_check,
    read=files.reader(columns.RECORDINGS),
    length=lambda value: round(1000 * value["seconds"]),
    length_unit="milliseconds",
    sizes=_sizes,
    properties=_properties,
    json=files.json,
    about="A recording file's bytes in base64",
    of_json=files.of_json,
    shown=columns.name,
    preparing="Preparing recordings",
    changes=_changes,
    files=files.named(columns.RECORDINGS),
    tokens=False,
)

_FILES = ("audio_path", "file_name", "filename", "path", "file", "audio_id", "id")
COLUMN = Column("audio", ("audio", "sound", "recording", "speech", "clip", "wav", *_FILES), AUDIO)
