"""A complete run, prepared again as it was trained: its recipe, configuration, checkpoint and data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import model_metadata, runs
from toolkit.commands.few_labels import settle
from toolkit.commands.finetune.prepare import Prepared, configure_stored, prepare, with_target
from toolkit.config import Resolved, RunConfig
from toolkit.config.files import read_file
from toolkit.config.own_parts import SECTION
from toolkit.data.load import Splits, load_splits
from toolkit.errors import DataError, ModelError, SourceError
from toolkit.events import Observe, Stage
from toolkit.runs import checksums
from toolkit.tasks.contract import Recipe

TRUST = ("trust_remote_code", "allow_pickle")  # of `loading`: only the user of now allows what they do


@dataclass(frozen=True)
class TrainedRun:
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
        return _corrections(self.run)

    @property
    def from_scratch(self) -> bool:
        """Whether it started from random weights."""
        return bool(self.values["loading"].get("from_scratch"))

    def prepared(self, observe: Observe) -> Prepared:
        """Return the run as it was before its training.

        Raises:
            DataError: Its data have changed.
            ToolkitError: As of `prepare`: model or data are not there.
        """
        made = self.with_values({}, observe)
        self.check_unchanged(made.config, made.splits)
        return made

    def with_values(self, layer: Mapping[str, Any], observe: Observe, *, resume: bool = False) -> Prepared:
        """Return a run with other values of the configuration, before its training."""
        recipe, resolved = self._configured(layer)
        return prepare(recipe, resolved, observe, resume=resume, may_compare=True)

    def rows(self, observe: Observe) -> tuple[Recipe, RunConfig, Splits]:
        """Return its task, its configuration and its rows, divided as they were; the checkpoint is not needed.

        Raises:
            DataError: The data have changed.
            ToolkitError: They are not there.
        """
        recipe, resolved = self._configured({})
        observe(Stage("Reading the rows of the run"))
        config = resolved.config
        splits = load_splits(recipe, config.data, config.training.seed, config.options)
        recipe, resolved = with_target(recipe, resolved, splits)
        resolved, splits = settle.settle(resolved, recipe, splits)
        self.check_unchanged(resolved.config, splits)
        return recipe, resolved.config, splits

    def _configured(self, layer: Mapping[str, Any]) -> tuple[Recipe, Resolved]:
        return configure_stored(self.recipe_name, [("run", dict(self.values)), ("command", dict(layer))])

    def check_unchanged(self, config: RunConfig, splits: Splits) -> None:
        """Refuse rows that are not those of the training, or are divided otherwise.

        Raises:
            DataError: They are not.
        """
        if splits.facts["fingerprint"] != (self.run.facts.get("data") or {}).get("fingerprint"):
            raise DataError(
                f"The data {config.data.source} have changed since the training of {self.run.path}: the rows or their "
                "division differ.",
                "Restore the data as they were, or train again on the data of now.",
                id="run.data-changed",
            )


def read(target: str, recipe_name: str | None, loading: Mapping[str, Any]) -> TrainedRun:
    """Read a run.

    Args:
        target: Its directory.
        recipe_name: The file of its recipe, where that is not installed.
        loading: Values of `loading` that the user gave now.

    Raises:
        SourceError: It is no run, or damaged.
        ModelError: It is not complete, or was trained with parts of its user's own.
        RecipeError: Its recipe is not installed.
    """
    path = Path(target)
    if not runs.is_run(path):
        raise SourceError(
            f"{target} is not a run, so its rows are not known.",
            "Give the run directory that `toolkit finetune` wrote.",
            id="run.not-a-run",
        )
    run = runs.Run(path)
    runs.check_whole(run)
    values = read_file(path / "config.yaml")
    name = model_metadata.installed(values.pop("recipe", None), f"The run {path}", [path], recipe_name)
    if name is None:
        raise SourceError(f"{path / 'config.yaml'} names no recipe.", "Copy the run directory again.", id="run.damaged")
    if any((values.get(SECTION) or {}).values()):
        raise ModelError(
            f"The run {path} was trained with parts of its user's own (`{SECTION}` in its config.yaml), which are not "
            "run because a folder names them.",
            "Put them into a recipe file (`toolkit recipes new`), and train with it.",
            id="run.own-parts",
        )
    values["output"] = None
    stored = {key: value for key, value in (values.get("loading") or {}).items() if key not in TRUST}
    values["loading"] = {**stored, **loading}
    corrections = _corrections(run)
    if corrections is not None:
        checksums.check(corrections, "Copy the run directory again.")
        values["data"] = {**values["data"], "corrections": str(corrections)}
    return TrainedRun(run, str(name), values)


def _corrections(run: runs.Run) -> Path | None:
    file = run.path / runs.CORRECTIONS
    return file if file.is_file() else None
