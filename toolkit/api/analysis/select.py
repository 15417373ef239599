"""`select`: which rows of a pool to label next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.commands.select import files
from toolkit.commands.select.join import join
from toolkit.commands.select.run import POOL_ROWS, SelectOptions
from toolkit.commands.select.run import select as choose
from toolkit.errors import ConfigError
from toolkit.report.pages import selection

if TYPE_CHECKING:
    import pandas as pd

_PREVIEW = 10  # rows
_WIDTH = 100  # characters of a previewed row


@dataclass(frozen=True)
class Selection:
    """Chosen rows, and what more labels are worth; or labelled rows that were joined with those of a run.

    Attributes:
        facts: All of it.
    """

    facts: Mapping[str, Any]

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The chosen rows."""
        return list(self.facts.get("rows", ()))

    @property
    def table(self) -> "pd.DataFrame":
        """The chosen rows."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    @property
    def curve(self) -> Mapping[str, Any] | None:
        """The learning curve; None where there is none."""
        return self.facts.get("curve")

    @property
    def files(self) -> Sequence[str]:
        """What was written."""
        return [self.facts["folder"]] if "folder" in self.facts else list(self.facts["files"])

    @property
    def sentences(self) -> list[str]:
        """The answer in words."""
        if "folder" in self.facts:
            return selection.joined(self.facts)
        return [*selection.chosen(self.facts), *selection.advice(self.facts)]

    @property
    def preview(self) -> str:
        """The first rows, one in a line."""
        lines = ["  ".join(str(value) for value in row.values())[:_WIDTH] for row in self.rows[:_PREVIEW]]
        return "\n".join(line.replace("\n", "\\n") for line in lines)

    def __repr__(self) -> str:
        return f"<Selection: {self.sentences[0]}>"


def select(
    run: Any,
    *,
    pool: str | Path | None = None,
    labelled: str | Path | None = None,
    output: str | Path | None = None,
    rows: int = 100,
    strategy: str | None = None,
    random_share: float = 0.1,
    pool_rows: int = POOL_ROWS,
    tool: str = files.CSV,
    with_suggestions: bool = False,
    stop_below: float = 0.005,
    no_curve: bool = False,
    recipe: str | None = None,
    text_column: str | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    seed: int | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> Selection:
    """Choose the rows of a pool to label next; or join labelled rows with those of a run.

    Args:
        run: A run, or the path of its directory.
        pool: Rows without labels, in any form that `predict` reads as `input`.
        labelled: Instead: chosen rows with their labels; a folder for the next `finetune` is written to `output`.
        output: File for the rows, with a page next to it; with `labelled` a folder.
        rows: How many rows to choose.
        strategy: "uncertainty-diverse", "uncertainty", "diverse" or "random"; by the number of labels when None.
        random_share: Share of the rows that is drawn at random, to estimate the model's quality on.
        pool_rows: Rows of the pool to consider; of more they are drawn at random.
        tool: "csv", or the tool that imports the rows: "label-studio" or "argilla".
        with_suggestions: Show the model's predictions in that tool; they bias annotators.
        stop_below: The least reduction of the error that is worth 100 more labels.
        no_curve: Measure no learning curve.
        recipe: The task of a model that was not trained here, or the file of its recipe.
        text_column: Column that holds the text.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        seed: Of all draws.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals()}
    del given["run"]
    if (pool is None) == (labelled is None):
        raise ConfigError(
            "Give either --pool or --labelled." if pool is not None else "Neither --pool nor --labelled is given.",
            "--pool FILE names rows to choose from, --labelled FILE rows that were chosen and labelled.",
            id="config.conflict" if pool is not None else "config.nothing-given",
        )
    target = words.target_of(run)
    flags = words.flags({word: value for word, value in given.items() if word != "strategy"})
    values = words.merged(flags, words.assignments(set), config)
    place = None if output is None else Path(output)
    wanted = SelectOptions(
        rows, strategy, random_share, pool_rows, tool, with_suggestions, stop_below, curve=not no_curve
    )
    with called(progress, "select", [target], given) as caller:
        if labelled is not None:
            return Selection(join(target, str(labelled), place, values, recipe, caller.observe))
        return Selection(choose(target, str(pool), place, values, recipe, wanted, caller.command, caller.observe))
