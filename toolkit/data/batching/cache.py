"""Model inputs kept on disk between runs, so that the same rows are not tokenized twice.

    features/
        1f0c…-9a3e/   manifest.json  0.values  0.offsets  1.values

An entry is found by what it was made of (rows, processor, recipe, versions) and by the values of the configuration
that preprocessing read. It is written chunk by chunk to a temporary folder, so that memory holds one chunk;
checked by hash when it is read; and mapped into memory, not loaded. Nothing is pickled.
"""

import hashlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from toolkit import runs
from toolkit.data.batching.batch import Columns, Features, Ragged, assemble, count_truncated, join
from toolkit.errors import RunError

_ABANDONED_SECONDS = 24 * 3600  # an older temporary folder belongs to a killed process


class Watched:
    """A part of the configuration that records which of its values were read.

    Attributes:
        seen: Dotted key → value, shared with the sections inside.
    """

    def __init__(self, section: BaseModel, seen: dict[str, Any] | None = None, prefix: str = "") -> None:
        self._section = section
        self._prefix = prefix
        self.seen: dict[str, Any] = {} if seen is None else seen

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._section, name)
        if isinstance(value, BaseModel):
            return Watched(value, self.seen, f"{self._prefix}{name}.")
        # anything other than a value, such as model_dump, may read everything
        fields = [name] if name in type(self._section).model_fields else list(type(self._section).model_fields)
        self.seen.update({self._prefix + key: _plain(getattr(self._section, key)) for key in fields})
        return value


def remembered(
    folder: Path, identity: str, config: BaseModel, encode: Callable[[Any], Iterator[Columns]], limit: int
) -> tuple[Features, bool]:
    """Return model inputs from `folder`, made and put there if they are not.

    With a full or read-only disk the inputs are kept in memory.

    Args:
        folder: Of all entries.
        identity: Names what the inputs are made of, apart from the configuration.
        config: Passed to `encode`; the values that it reads must be the same for an entry to be used.
        encode: Configuration → chunks of rows, as `encode_chunks` yields them.
        limit: Bytes that all entries may take; those not used for longest are removed.

    Returns:
        The inputs, and whether they came from the cache.
    """
    stored = _find(folder, identity, config)
    if stored is not None:
        return stored, True
    try:
        entry = folder / f"{identity}-{secrets.token_hex(4)}"
        _write(entry, Watched(config), encode)
        features = _read(entry)
        shrink(folder, limit)  # an entry that is removed while it is mapped stays readable
    except (OSError, RunError, _UnevenError):
        return join(encode(config)), False  # an error of `encode` itself is raised again
    return features, False


def _find(folder: Path, identity: str, config: BaseModel) -> Features | None:
    """Return the entry of the same inputs and values; remove damaged ones."""
    for entry in folder.glob(f"{identity}-*"):
        try:
            seen = _manifest(entry)["config"]
            if all(_value(config, key) == value for key, value in seen.items()):
                features = _read(entry)
                os.utime(entry)  # used just now
                return features
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            shutil.rmtree(entry, ignore_errors=True)
    return None


def _value(config: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        config = getattr(config, name)
    return _plain(config)


def _plain(value: Any) -> Any:
    """Return a value as it comes back from JSON."""
    return json.loads(json.dumps(value.model_dump() if isinstance(value, BaseModel) else value, default=str))


def _manifest(entry: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    return manifest


# --- reading --------------------------------------------------------------------------------------------------------


def _read(entry: Path) -> Features:
    """Map an entry into memory.

    Raises:
        ValueError: A file is not what was written.
    """
    manifest = _manifest(entry)
    columns: dict[str, Ragged | np.ndarray[Any, Any]] = {}
    for name, parts in manifest["columns"].items():
        arrays = [_map(entry, facts) for facts in parts]
        columns[name] = Ragged(arrays[0], arrays[1]) if len(arrays) == 2 else arrays[0]
    return assemble(columns, manifest["truncated"])


def _map(entry: Path, facts: dict[str, Any]) -> np.ndarray[Any, Any]:
    file, shape, kind = entry / facts["file"], tuple(facts["shape"]), np.dtype(facts["dtype"])
    if runs.digest(file) != facts["sha256"] or file.stat().st_size != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{file} is damaged")
    if 0 in shape:
        return np.zeros(shape, kind)  # an empty file cannot be mapped
    return np.asarray(np.memmap(file, kind, mode="c", shape=shape))  # writes stay in memory


# --- writing --------------------------------------------------------------------------------------------------------


class _UnevenError(Exception):
    """The chunks of a column do not fit one array of numbers."""


class _Array:
    """One array on the disk that grows by rows."""

    def __init__(self, file: Path, streams: ExitStack) -> None:
        self.stream = streams.enter_context(file.open("wb"))
        self.file = file
        self.hash = hashlib.sha256()
        self.rows = 0
        self.kind: tuple[np.dtype[Any], tuple[int, ...]] | None = None

    def append(self, values: np.ndarray[Any, Any]) -> None:
        kind = values.dtype, values.shape[1:]
        if self.kind not in (None, kind) or values.dtype.kind not in "biuf":
            raise _UnevenError
        data = np.ascontiguousarray(values).tobytes()
        self.stream.write(data)
        self.hash.update(data)
        self.kind = kind
        self.rows += len(values)

    def facts(self) -> dict[str, Any]:
        dtype, shape = self.kind or (np.dtype(np.int64), ())
        return {
            "file": self.file.name,
            "dtype": dtype.str,
            "shape": [self.rows, *shape],
            "sha256": self.hash.hexdigest(),
        }


def _write(entry: Path, config: Watched, encode: Callable[[Any], Iterator[Columns]]) -> None:
    """Write an entry, with one chunk in memory at a time."""
    columns: dict[str, list[_Array]] = {}
    truncated: list[Any] = []
    with runs.aside(entry) as draft, ExitStack() as streams:
        draft.mkdir()
        for chunk in encode(config):
            for name, values in chunk.items():
                if name == "truncated":
                    truncated.append(values)
                    continue
                if name not in columns:
                    files = [draft / f"{len(columns)}.{part}" for part in ("values", "offsets")]
                    wanted = files if isinstance(values, Ragged) else files[:1]
                    columns[name] = [_Array(file, streams) for file in wanted]
                _append(columns[name], values)
        streams.close()
        described = {name: [array.facts() for array in arrays] for name, arrays in columns.items()}
        manifest = {"config": config.seen, "columns": described, "truncated": count_truncated(truncated)}
        (draft / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _append(arrays: list[_Array], values: Ragged | np.ndarray[Any, Any]) -> None:
    if not isinstance(values, Ragged):
        if len(arrays) != 1:
            raise _UnevenError
        arrays[0].append(values)
        return
    if len(arrays) != 2:
        raise _UnevenError
    offsets = values.offsets + arrays[0].rows
    arrays[1].append(offsets if arrays[1].rows == 0 else offsets[1:])
    arrays[0].append(values.values)


def shrink(folder: Path, limit: int) -> None:
    """Remove the entries not used for longest until the rest fits, and remove files of killed processes.

    Args:
        folder: Of the entries, each a folder whose time is that of its last use.
        limit: Bytes that all of them may take.
    """
    kept = 0
    for entry in sorted(folder.iterdir(), key=_last_used, reverse=True):
        with suppress(OSError):  # another process is removing it
            kept += sum(file.stat().st_size for file in entry.rglob("*"))
            abandoned = entry.name.startswith(".") and time.time() - _last_used(entry) > _ABANDONED_SECONDS
            if abandoned or (kept > limit and not entry.name.startswith(".")):
                shutil.rmtree(entry)


def _last_used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
