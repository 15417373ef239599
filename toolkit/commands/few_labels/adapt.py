"""Pretrain the checkpoint of a comparison on texts without labels, and load it beside the original one."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from toolkit import checkpoints, runs
from toolkit.commands import pretrain, unlabelled
from toolkit.commands.few_labels.candidates import CandidateInputs, prepare_inputs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.events import Observe, Stage

FOLDER = "pretrained"  # below checkpoints/, until the run is complete


def adapt(
    run: runs.Run, prepared: Prepared, observe: Observe, stop_requested: Callable[[], bool]
) -> tuple[CandidateInputs | None, dict[str, Any] | None]:
    """Return the inputs of training methods with the pretrained checkpoint, and the report's facts of the pretraining.

    Both are None where no texts without labels are given. A checkpoint that an interrupted run completed is used again.

    Raises:
        ModelError: The model cannot be pretrained by masking.
        DataError: There are too few texts.
    """
    config = prepared.config
    if config.data.unlabelled is None:
        return None, None
    folder = run.path / "checkpoints" / FOLDER
    if not (folder / pretrain.FACTS).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        observe(Stage("Pretraining on texts without labels"))
        resolved = unlabelled.configure_for(prepared.recipe, prepared.resolved, str(folder))
        pretrain.pretrain(prepared.recipe, resolved, observe)
    facts = runs.read_object(folder / pretrain.FACTS)
    checkpoint = checkpoints.locate(str(folder), config.loading, config.options)
    inputs = prepare_inputs(replace(prepared, checkpoint=checkpoint), observe, stop_requested)
    kept = ("texts", "held_out_texts", "perplexity_before", "perplexity")
    return inputs, {key: facts[key] for key in kept} | {"seconds": facts["training"]["seconds"]}
