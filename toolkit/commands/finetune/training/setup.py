"""The start of training: the model with its trainable parameters, its processor, and the inputs of the parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from toolkit import models
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.tokenize import encode_parts, remarks, stage_of
from toolkit.data.batching.batch import Features
from toolkit.distributed.process_group import ALONE, Team
from toolkit.events import Note, Observe, Stage
from toolkit.inference.build_model import build_model, restrain
from toolkit.training.loss import attention_loss
from toolkit.training.loss.objective import Objective, objective_for, of_function

Augment = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class TrainingSetup:
    """A loaded model and its training inputs.

    Attributes:
        model: On the CPU; frozen as configured, with its adapters.
        processor: Its tokenizer or image processor.
        adapted: peft's view of the model when it has adapters, else None.
        features: Model inputs of each requested part.
        collate: Stacks examples into a batch of tensors.
        augment: Changes training batches at random, if the recipe does that.
    """

    model: Any
    processor: Any
    adapted: Any
    features: Sequence[Features]
    collate: Callable[[Sequence[Any]], dict[str, Any]]
    augment: Augment | None


def gather(prepared: Prepared, parts: Sequence[pa.Table], observe: Observe, team: Team = ALONE) -> TrainingSetup:
    """Load the model and encode some parts of the data, from the seed on.

    Args:
        prepared: The run.
        parts: Tables in the recipe's roles.
        observe: Called with each event.
        team: The processes that share the work; each calls this with the same arguments.
    """
    from accelerate.utils import set_seed

    config, recipe = prepared.config, prepared.recipe
    observe(Stage("Loading the model"))
    set_seed(config.training.seed)
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = build_model(recipe, prepared.checkpoint.path, prepared.splits.labels, config, observe, new_head=True)
    adapted = restrain(model, config, prepared.checkpoint)
    moving, total = models.trainable(model), models.size(model)[0]
    if moving < total:
        observe(Note(f"{moving:,} of {total:,} parameters are trained."))
    for remark in remarks(recipe, prepared.splits.train, processor, config):
        observe(Note(remark))
    observe(Stage(stage_of(recipe)))
    with team.main_first():
        features = encode_parts(parts, recipe, prepared.splits.labels, processor, config, observe)
    collate = partial(recipe.collate, processor=processor)
    return TrainingSetup(model, processor, adapted, features, collate, _augmentation(prepared, processor))


def objective_of(prepared: Prepared, of_train: Any, adjustment: float) -> Objective:
    """Return what training minimises: the objective of the target, with the penalty on attention if there is one.

    Args:
        prepared: The run.
        of_train: Model labels of the training rows.
        adjustment: Factor of the logit adjustment, for targets that take it.
    """
    config, labels, own = prepared.config, prepared.splits.labels, prepared.recipe.target.objective
    if prepared.recipe.loss is not None:
        plain = of_function(prepared.recipe.loss, config.loss)
    elif own is not None:
        plain = own(config.loss, labels, of_train)
    else:
        plain = objective_for(config.loss, labels, of_train, adjustment)
    return attention_loss.regularised(plain, config.loss)


def _augmentation(prepared: Prepared, processor: Any) -> Augment | None:
    made: Augment | None = prepared.recipe.augmentation(processor, prepared.splits.labels, prepared.config)
    return made
