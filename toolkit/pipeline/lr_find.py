"""Find a learning rate: the range test on a recipe's own model and data."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import runs
from toolkit.errors import RunError
from toolkit.pipeline.build import build_model
from toolkit.pipeline.events import Counted, Note, Observe, Stage
from toolkit.pipeline.fit import augmentation, limit
from toolkit.pipeline.inputs import encode_parts, stage_of
from toolkit.pipeline.prepare import Prepared
from toolkit.report.range_plot import range_plot

if TYPE_CHECKING:
    from toolkit.training.range_test import RangeTest


def lr_find(
    prepared: Prepared, folder: Path, observe: Observe, *, steps: int, lowest: float, highest: float
) -> "RangeTest":
    """Run the range test and write what it saw to `folder`; nothing of the model is kept.

    Args:
        prepared: From `prepare`.
        folder: Where `curve.json` and `curve.svg` are written.
        observe: Told what happens.
        steps: Optimizer steps.
        lowest: Learning rate of the first step.
        highest: Learning rate of the last step.

    Raises:
        RunError: The loss never fell.
    """
    from accelerate.utils import set_seed

    from toolkit.training.devices import accelerator_for, pick_device, pick_precision
    from toolkit.training.objective import objective_for
    from toolkit.training.range_test import range_test
    from toolkit.training.regularise import regularised

    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    observe(Stage("Loading the model"))
    set_seed(config.training.seed)
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = build_model(recipe, prepared.checkpoint.path, splits.labels, config)
    limit(model, prepared, observe)
    observe(Stage(stage_of(recipe)))
    (features,) = encode_parts([splits.train], recipe, processor, config, observe)
    precision = pick_precision(config.training.precision, pick_device(config.training.device))
    observe(Stage(f"Raising the learning rate from {lowest:g} to {highest:g} in {steps} steps"))
    found = range_test(
        model,
        features,
        partial(recipe.collate, processor=processor),
        config.training,
        accelerator_for(config.training, precision),
        objective=regularised(objective_for(config.loss, splits.labels, features.columns["labels"]), config.loss),
        lowest=lowest,
        highest=highest,
        steps=steps,
        observe=lambda done, total: observe(Counted(done, total)),
        say=lambda text: observe(Note(text)),
        augment=augmentation(prepared, processor),
    )
    if found.suggestion is None:
        raise RunError(
            f"The loss never fell below that of the first step, at a learning rate of {lowest:g}.",
            "Begin lower (--lowest), give more --steps, or check labels and text columns with `toolkit inspect`.",
        )
    columns = {"learning_rate": found.learning_rates, "loss": found.losses, "smoothed_loss": found.smoothed}
    runs.write_json(folder / "curve.json", {"suggestion": found.suggestion, "burst": found.burst, **columns})
    picture = range_plot(found.learning_rates, found.losses, found.smoothed, found.suggestion)
    runs.write_text(folder / "curve.svg", picture)
    return found
