"""Find a learning rate: the range test on a recipe's own model and data."""

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.setup import gather, objective_of
from toolkit.errors import RunError
from toolkit.events import Counted, Note, Observe, Stage
from toolkit.report.plots.range_plot import range_plot

if TYPE_CHECKING:
    from toolkit.training.loop.lr_range_test import RangeTest


def lr_find(
    prepared: Prepared, folder: Path, observe: Observe, *, steps: int, lowest: float, highest: float
) -> "RangeTest":
    """Run the range test and write its result to `folder`; the model is not kept.

    Args:
        prepared: From `prepare`.
        folder: Where `curve.json` and `curve.svg` are written.
        observe: Called with each event.
        steps: Optimizer steps.
        lowest: Learning rate of the first step.
        highest: Learning rate of the last step.

    Raises:
        RunError: The loss never decreased.
    """
    from toolkit.training.acceleration.autotune import configured
    from toolkit.training.distributed.devices import accelerator_for, pick_device
    from toolkit.training.loop.arguments import TrainingData
    from toolkit.training.loop.lr_range_test import Sweep, range_test

    config = prepared.config
    setup = gather(prepared, [prepared.splits.train], observe)
    (features,) = setup.features
    device = pick_device(config.training.device)
    compute = configured(config.training, device)
    observe(Stage(f"Raising the learning rate from {lowest:g} to {highest:g} in {steps} steps"))
    result = range_test(
        setup.model,
        TrainingData(features, setup.collate, setup.augment),
        config.training,
        accelerator_for(config.training, compute.precision),
        objective=objective_of(prepared, features.columns["labels"], config.loss.logit_adjustment or 0.0),
        sweep=Sweep(lowest, highest, steps),
        observe=lambda done, total: observe(Counted(done, total)),
        say=lambda text: observe(Note(text)),
        compute=compute,
    )
    if result.suggestion is None:
        raise RunError(
            f"The loss never fell below that of the first step, at a learning rate of {lowest:g}.",
            "Lower --lowest, raise --steps, or check labels and text columns with `toolkit inspect`.",
            id="run.loss-never-fell",
        )
    columns = {"learning_rate": result.learning_rates, "loss": result.losses, "smoothed_loss": result.smoothed}
    runs.write_json(
        folder / "curve.json",
        {"suggestion": result.suggestion, "burst": result.burst, "clear": result.clear, **columns},
    )
    picture = range_plot(result.learning_rates, result.losses, result.smoothed, result.suggestion)
    runs.write_text(folder / "curve.svg", picture)
    return result
