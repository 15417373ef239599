"""Storage of explanations, and of the measurement of a run's methods."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import toolkit
from toolkit import runs
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.explanation.attributions import BY_NAME
from toolkit.inference.model import StoredModel
from toolkit.runs.trust import damage


def folder(subject: EvaluationInputs, output: str | None, created: datetime) -> Path:
    """Return the folder of an explanation: inside the run, or under runs/, when `output` is None."""
    if output or subject.run is None:
        return runs.create(output, "explain", subject.checkpoint.name, created).path
    return runs.free(subject.run.path / "explanations" / f"{created:%Y%m%d-%H%M%S}")


def measurement(run: runs.Run | None, model: StoredModel, facts: Sequence[Any]) -> Path | None:
    """Return the file of a measurement of a run's methods; None for a model that belongs to no run.

    Args:
        run: The run.
        model: Its model.
        facts: What the measurement depends on in addition to the model, the seed and the toolkit.
    """
    if run is None:
        return None
    named = json.dumps([toolkit.__version__, model.config.training.seed, *facts])
    digest = hashlib.sha256(named.encode()).hexdigest()[:16]
    return run.path / "explanations" / f"{_prefix(model)}{digest}.json"


def find_measurement(run: runs.Run | None, model: StoredModel) -> dict[str, Any] | None:
    """Read the measurement of a run's methods: of several, the one with the most methods and examples.

    Args:
        run: The run; None for a model that belongs to none.
        model: The model; what was measured with other weights is not read.

    Raises:
        SourceError: A measurement was changed after it was written.
    """
    home = run.path / "explanations" if run is not None else None
    if home is None or not home.is_dir():
        return None
    files = sorted(home.glob("trust-*.json"), key=lambda file: file.stat().st_mtime)
    prefix = _prefix(model) if files else ""
    results = [_read(file) for file in files if file.name.startswith(prefix)]
    return max(reversed(results), key=_extent, default=None)


def command(target: str, has_data: bool) -> str:
    """Return the command that measures the methods of a model.

    Args:
        target: Run directory, folder or Hub id.
        has_data: Whether held-out examples come with it.
    """
    words = ["toolkit", "explain", target, "--measure"]
    return shlex.join(words if has_data else [*words, "--data", "FILE"])


def _prefix(model: StoredModel) -> str:
    """Return the prefix of the names of all measurements of a model."""
    digest = hashlib.sha256(json.dumps(model.config.attention).encode())
    for file in sorted(model.folder.glob("*.safetensors")):
        digest.update(runs.digest(file).encode())
    return f"trust-{digest.hexdigest()[:16]}-"


def _read(file: Path) -> dict[str, Any]:
    stored = runs.read_object(file)
    with damage(file):
        if "reading" in stored:  # of translations
            if not isinstance(stored["reading"], int) or not isinstance(stored["texts"], int):
                raise TypeError
        elif stored["best"] not in {None, *BY_NAME} or not BY_NAME.keys() >= dict(stored["methods"]).keys():
            raise TypeError
    return stored


def _extent(result: Mapping[str, Any]) -> tuple[int, int]:
    return len(result.get("methods", ())), result["texts"]
