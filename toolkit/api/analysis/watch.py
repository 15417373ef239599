"""`watch`: compare new rows without labels with the held-out rows of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import Watched
from toolkit.commands.watch.run import LOOKS, MOST_ROWS, ROWS
from toolkit.commands.watch.run import watch as watch_batch
from toolkit.errors import ConfigError
from toolkit.evaluation.shift.find import LEAST_ROWS


def watch(
    run: Any,
    *,
    input: str | Path,
    rows: int = ROWS,
    looks: int = LOOKS,
    margin: float = 0.0,
    recipe: str | None = None,
    text_column: str | None = None,
    max_length: int | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> Watched:
    """Compare new rows without labels with the held-out rows of a run, and add a record to the run.

    Args:
        run: A run, or the path of its directory.
        input: Text lines, CSV, TSV, JSON lines, Parquet or a folder of files.
        rows: Rows at most on each side; of more a random sample is compared.
        looks: Batches that share the probability of a false alarm.
        margin: Area under the curve of the classifier above one half that does not matter.
        recipe: File of the recipe, where it is not installed.
        text_column: Column that holds the text.
        max_length: Tokens that an input may have.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals()}
    del given["run"]
    if not LEAST_ROWS <= rows <= MOST_ROWS or looks < 1 or not 0 <= margin < 0.5:
        raise ConfigError(
            f"`rows` is from {LEAST_ROWS} to {MOST_ROWS}, `looks` at least 1, and `margin` from 0 to below 0.5.",
            "Give other values.",
            id="config.out-of-range",
        )
    target = words.target_of(run)
    values = words.merged(words.flags(given), words.assignments(set), config)
    with called(progress, "watch", [target], given) as caller:
        folder, record = watch_batch(
            *(target, str(input), values, recipe, caller.observe),
            rows=rows,
            looks=looks,
            margin=margin,
            command=caller.command,
        )
    return Watched(folder, record)
