"""`distill`: a smaller model that imitates the model of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import Run
from toolkit.commands.distill.run import distill as train
from toolkit.commands.finetune import trained_run
from toolkit.config import merge


def distill(
    run: Any = None,
    *,
    student: str,
    unlabelled: str | Path | None = None,
    output: str | Path | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    recipe: str | None = None,
    trust_remote_code: bool = False,
    resume: bool = False,
    progress: bool | Caller = True,
) -> Run:
    """Train a smaller model on the rows of a run and on what the run's model predicts for them.

    The result is a run of its own, on the same division of the same rows. Its report compares teacher and student.

    Args:
        run: A run whose rows have one class each, or the path of its directory; the newest run when None.
        student: "LAYERS=3" for evenly spaced layers of the run's model, or the name of a smaller model.
        unlabelled: File or folder of further rows, which the run's model labels.
        output: The new run directory; a new folder under runs/ when None.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        epochs: Number of passes over the training rows; twice that of the run when None.
        batch_size: Examples that an optimizer step sees; as in the run when None.
        learning_rate: Peak learning rate; from the student's size when None.
        seed: Random seed of the training; as in the run when None, since it also divides the rows.
        recipe: The file of the run's recipe, where that is not installed.
        trust_remote_code: Run Python code that comes with the checkpoints.
        resume: Resume the student of the same values that did not finish.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals()}
    del given["run"]
    target = str(runs.newest().path) if run is None else words.target_of(run)
    flags = {key: value for key, value in words.flags(given).items() if key != "data.unlabelled"}
    flags["output"] = None if output is None else str(output)
    values: dict[str, Any] = {}
    for _, layer in words.layers(flags, config_file=config, assignments=words.assignments(set)):
        values = merge(values, layer)
    further = None if unlabelled is None else str(unlabelled)
    with called(progress, "distill", [target], given) as caller:
        source = trained_run.read(target, recipe, {"trust_remote_code": trust_remote_code})
        made = train(source, student, further, values, caller.command, caller.observe, resume=resume)
    return Run(made.path)
