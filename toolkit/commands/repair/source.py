"""A run, prepared again as it was trained: its recipe, configuration, checkpoint and data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import model_metadata, runs
from toolkit.commands.finetune.prepare import Prepared, configure_stored, prepare
from toolkit.config.files import read_file
from toolkit.errors import ConfigError, DataError, SourceError
from toolkit.events import Observe
from toolkit.runs import checksums
from toolkit.tasks.contract import Recipe

FOLDER = "repair"  # in a run
ADVICE = "Restore the data as they were, or train again on the data of now."


@dataclass(frozen=True)
class Source:
    """A complete run, and how it is trained again.

    Attributes:
        run: The run.
        recipe_name: Of its task.
        values: Its configuration, without the place of its output.
    """

    run: runs.Run
    recipe_name: str
    values: Mapping[str, Any]

    @property
    def corrections(self) -> Path | None:
        """The corrections that the run was trained with, as it keeps them; None without any."""
        file = self.run.path / runs.CORRECTIONS
        return file if file.is_file() else None

    def prepared(self, observe: Observe) -> Prepared:
        """Return the run as it was before its training.

        Raises:
            DataError: Its data have changed.
            ToolkitError: As of `prepare`: model or data are not there.
        """
        made = self.with_values({}, observe)
        if made.splits.facts["fingerprint"] != self.run.facts.get("data", {}).get("fingerprint"):
            raise DataError(
                f"The data {made.config.data.source} have changed since the training of {self.run.path}: the rows or "
                "their division differ.",
                ADVICE,
                id="repair.data-changed",
            )
        return made

    def with_values(self, layer: Mapping[str, Any], observe: Observe, *, resume: bool = False) -> Prepared:
        """Return a run with other values of the configuration, before its training."""
        recipe, resolved = configure_stored(self.recipe_name, [("run", dict(self.values)), ("repair", dict(layer))])
        return prepare(recipe, resolved, observe, resume=resume, may_compare=True)


def read(target: str, recipe_name: str | None, *, trusted: bool) -> Source:
    """Read a run.

    Args:
        target: Its directory.
        recipe_name: The file of its recipe, where that is not installed.
        trusted: Whether code that comes with its checkpoint may run.

    Raises:
        SourceError: It is no run, or damaged.
        ModelError: It is not complete.
        RecipeError: Its recipe is not installed.
    """
    path = Path(target)
    if not runs.is_run(path):
        raise SourceError(
            f"{target} is not a run, so its training rows are not known.",
            "Give a run directory.",
            id="run.not-a-run",
        )
    run = runs.Run(path)
    runs.check_whole(run)
    values = read_file(path / "config.yaml")
    name = model_metadata.installed(values.pop("recipe", None), f"The run {path}", [path], recipe_name)
    values["output"] = None
    loading = {k: v for k, v in (values.get("loading") or {}).items() if k not in ("trust_remote_code", "allow_pickle")}
    values["loading"] = {**loading, "trust_remote_code": trusted}  # a folder may not let code run
    source = Source(run, str(name), values)
    if source.corrections is not None:
        checksums.check(source.corrections, "Copy the run directory again.")
        values["data"] = {**values["data"], "corrections": str(source.corrections)}
    return source


def check_task(recipe: Recipe) -> None:
    """Refuse a task whose training rows cannot be doubted.

    Raises:
        ConfigError: With what can be done instead.
    """
    task = recipe.task
    if not task.repairable:
        advice = (
            "Leave out bad pairs with the recipe's own filters (`toolkit recipes show`)."
            if recipe.clean is not None
            else "Compare its validation rows with the predictions: `toolkit evaluate`."
        )
        raise ConfigError(
            f"Doubts are for rows with classes or numbers, and the column of the {task.target.role} holds neither.",
            advice,
            id="repair.not-for-task",
        )
