"""From a name to raw tables by part: local files, packaged files, or a data set of the Hub."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import sources
from toolkit.config.settings import DataConfig
from toolkit.data.division import split as split_
from toolkit.data.formats import arrow_files
from toolkit.data.sources.local_files import read
from toolkit.data.sources.zip_archives import opened
from toolkit.data.tables import class_names
from toolkit.errors import DataError, SourceError
from toolkit.tasks.contract import Recipe, Tables

Reader = Callable[[Path], Tables | None]


def acquire(config: DataConfig, reader: Reader | None = None) -> tuple[Tables, str]:
    """Return the raw tables and their origin.

    Args:
        config: Names the data.
        reader: Reads what is of a format of the task's own; None of it means that the format is not.
    """
    source = sources.parse(config.source)
    path = sources.local_path(source)
    if path is not None:
        with opened(path) as place:
            own = reader(place) if reader is not None else None
        if own is not None:
            return own, config.source
        return read_configured(path, config), config.source
    pair = reader(Path(config.source)) if reader is not None and source.revision is None else None
    if pair is not None:  # corpus.en beside corpus.fr, named corpus
        return pair, config.source
    problem = sources.hub_problem()
    if problem is None:
        return Tables(_from_hub(source)), _hub_origin(source)
    _stay_offline()
    try:
        notes = [f"{problem}; the cached copy of {source.name} is used."]
        return Tables(_from_hub(source), notes), _hub_origin(source)
    except SourceError:
        raise SourceError(
            f"The data set {source.name} is not on this machine and {problem}.",
            "Give a local file or folder, or retry with a network connection.",
            id="hub.unreachable",
        ) from None


def read_configured(path: Path, config: DataConfig) -> Tables:
    """Read a file or folder of this machine as the configuration says; errors are as of `local_files.read`."""
    return read(
        path,
        encoding=config.encoding,
        delimiter=config.delimiter,
        names=config.column_names,
        sheet=config.sheet,
        query=config.query,
    )


def fallback_data(recipe: Recipe, config: DataConfig) -> dict[str, Any] | None:
    """Return data settings that replace the recipe's own data set when it cannot be reached and they can.

    Only a recipe's default is ever replaced, never data that a user named.
    """
    fallback: Mapping[str, Any] | None = recipe.fallback_data
    own = recipe.defaults.get("data", {}).get("source")
    if not fallback or config.source != own:
        return None
    source = sources.parse(config.source)
    if source.kind != "hub" or sources.hub_problem() is None:
        return None
    try:
        sources.local_path(sources.parse(fallback["source"]))
    except SourceError:
        return None
    return dict(fallback)


def _stay_offline() -> None:
    """Keep `datasets` from trying, again and again, a Hub that is known not to answer."""
    import datasets
    from huggingface_hub import constants

    datasets.config.HF_HUB_OFFLINE = True
    constants.HF_HUB_OFFLINE = True


def _hub_origin(source: sources.Source) -> str:
    return (
        source.name
        + (f":{source.config}" if source.config else "")
        + (f"@{source.revision}" if source.revision else "")
    )


def _from_hub(source: sources.Source) -> dict[str, pa.Table]:
    """Load a data set by name through `datasets`; class numbers become their names."""
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(source.name, source.config, revision=source.revision)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise SourceError(
            f"The data set {source.name} cannot be loaded: {reason[:300]}",
            "Give a configuration as org/name:config, or a revision as org/name@revision.",
            id="hub.cannot-load",
        ) from error
    except Exception as error:
        mended = sources.hub_error(error, source.name, "data set")
        if mended is None and isinstance(error, OSError | RuntimeError | datasets.exceptions.DatasetsError):
            mended = SourceError(
                f"The data set {source.name} cannot be loaded: {error}",
                "Check the name; `toolkit doctor` checks the Hub.",
                id="hub.cannot-load",
            )
        if mended is None:
            raise
        raise mended from error
    parts = {}
    for part, dataset in loaded.items():
        name = {"valid": "validation", "val": "validation", "dev": "validation"}.get(str(part), str(part))
        if name in split_.PARTS or len(loaded) == 1:
            names = class_names.of_features(dataset.features.to_dict())
            table = class_names.named(_plain(dataset), names, source.name)
            parts[name if name in split_.PARTS else "all"] = _with_positions(table, source.name, str(part))
    if not parts:
        raise DataError(
            f"{source.name} has the parts {', '.join(map(str, loaded))}; none is train or test.",
            "Give a local copy instead.",
            id="data.unknown-parts",
        )
    return parts


def _plain(dataset: Any) -> pa.Table:
    """Return the rows of a data set, read as those of its files would be."""
    table = dataset.with_format("arrow")[:]
    pieces = [arrow_files.plain(batch) for batch in table.to_batches()]
    return pa.Table.from_batches(pieces) if pieces else table


def _with_positions(table: pa.Table, name: str, part: str) -> pa.Table:
    files = pa.array([f"{name}/{part}"] * table.num_rows, pa.string())
    return table.append_column("_file", files).append_column("_row", pa.array(np.arange(1, table.num_rows + 1)))
