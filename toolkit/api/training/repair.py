"""`repair`: doubts about the training rows of a run, and a new run on corrected rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import runs
from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import Comparison, Report, Run
from toolkit.commands.finetune import trained_run
from toolkit.commands.repair import annotators, find, retrain
from toolkit.errors import ConfigError, RunError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Repair:
    """Doubts about training rows, or the outcome of decisions on them.

    Attributes:
        path: The folder of the doubts, or the new run directory.
        summary: What was found, as doubts.json has it; or the gain of the corrections.
        run: The new run; None where no decisions were given.
        comparison: Of the new run with the old one; None where no decisions were given.
    """

    path: Path
    summary: Mapping[str, Any]
    run: Run | None = None
    comparison: Comparison | None = None

    @property
    def doubts(self) -> "pd.DataFrame":
        """The lines of doubts.csv.

        Raises:
            RunError: Decisions were given, so no doubts were searched for.
        """
        if self.run is not None:
            raise RunError(
                "Decisions were applied, and no doubts searched for.", "Call it without.", id="repair.no-doubts"
            )
        import pandas as pd

        frame: pd.DataFrame = pd.read_csv(self.path / find.FILE, dtype=str, keep_default_na=False)
        return frame


def repair(
    run: Any = None,
    *,
    decisions: str | Path | None = None,
    annotator_column: str | None = None,
    recipe: str | None = None,
    output: str | Path | None = None,
    trust_remote_code: bool = False,
    resume: bool = False,
    progress: bool | Caller = True,
) -> Repair:
    """Find doubtful training rows of a run; or train it again on rows that were corrected by decisions.

    Args:
        run: A run, or the path of its directory; the newest run when None.
        decisions: CSV file with decisions on the doubts; the run is trained again and compared.
        annotator_column: Column that names who labelled each row; the agreement of annotators is measured.
        recipe: The file of the run's recipe, where that is not installed.
        output: Directory of the new run, with `decisions`; a new folder under runs/ when None.
        trust_remote_code: Run Python code that comes with the checkpoint.
        resume: Resume the training on corrected rows that did not finish.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals()}
    del given["run"]
    _check(decisions, annotator_column, output, resume=resume)
    target = str(runs.newest().path) if run is None else words.target_of(run)
    with called(progress, "repair", [target], given) as caller:
        trained = trained_run.read(target, recipe, {"trust_remote_code": trust_remote_code})
        if decisions is None:
            find.check_place(trained)
            prepared = trained.prepared(caller.observe)
            agreement = None if annotator_column is None else annotators.measured(prepared, annotator_column)
            summary = find.write(trained, prepared, find.find(prepared, caller.observe), agreement)
            return Repair(trained.run.path / find.FOLDER, summary)
        place = None if output is None else str(output)
        made = retrain.repaired(
            *(trained, Path(decisions), place, caller.command, caller.observe),
            resume=resume,
            started=caller.started,
        )
    comparison = Comparison(made.comparison, Report(made.report))
    return Repair(made.run.path, made.gain, Run(made.run.path), comparison)


def _check(
    decisions: str | Path | None, annotator_column: str | None, output: str | Path | None, *, resume: bool
) -> None:
    """Refuse options of the search together with those of the training, and the reverse."""
    if decisions is not None and annotator_column is not None:
        raise ConfigError(
            "--annotator-column is for the search for doubts, and --decisions ends it.",
            "Leave out one of the two.",
            id="config.conflict",
        )
    if decisions is None and (output is not None or resume):
        raise ConfigError(
            f"{'--output' if output is not None else '--resume'} is for the run that is trained with --decisions; "
            "doubts are written into the folder of the run.",
            "Leave it out, or add --decisions.",
            id="config.conflict",
        )
