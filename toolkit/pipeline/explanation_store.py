"""Where explanations are kept, and what was measured once about a run's methods."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import toolkit
from toolkit import runs
from toolkit.pipeline.evaluate import Examination


def folder(subject: Examination, output: str | None, created: datetime) -> Path:
    """Return the folder of an explanation: inside the run, or under runs/, when `output` is None."""
    if output or subject.run is None:
        return runs.create(output, "explain", subject.checkpoint.name, created).path
    return runs.free(subject.run.path / "explanations" / f"{created:%Y%m%d-%H%M%S}")


def measurement(subject: Examination, facts: Sequence[Any]) -> Path | None:
    """Return where a run keeps what was measured about methods; None for a model that belongs to no run.

    Args:
        subject: The model.
        facts: What the measurement depends on beside the model, its configuration and the toolkit.
    """
    if subject.run is None:
        return None
    named = [toolkit.__version__, subject.config.attention, subject.config.training.seed, *facts]
    digest = hashlib.sha256(json.dumps(named).encode())
    for file in sorted(subject.checkpoint.path.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return subject.run.path / "explanations" / f"trust-{digest.hexdigest()[:16]}.json"
