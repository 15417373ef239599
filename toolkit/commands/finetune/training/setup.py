"""The start of training: the model with its trainable parameters, its processor, and the inputs of the parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from toolkit import models
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.tokenize import encode_parts, remarks, stage_of
from toolkit.data.batching.batch import Features, probe
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import ModelError
from toolkit.events import Note, Observe, Stage
from toolkit.inference import fewer_layers
from toolkit.inference.build_model import build_model, restrain
from toolkit.training.adaptation import feature_vectors
from toolkit.training.adaptation.number_head import Scale, Units
from toolkit.training.loss import attention_loss
from toolkit.training.loss.objective import RATIONALE, Objective, objective_for, of_function

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
    if config.distillation.layers is not None:
        fewer_layers.keep(model, config.distillation.layers)
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


def objective_of(prepared: Prepared, of_train: Any, adjustment: float, device: Any = "cpu") -> Objective:
    """Return what training minimises: the objective of the target, with a penalty on attention or a teacher if any.

    Args:
        prepared: The run.
        of_train: Model labels of the training rows.
        adjustment: Factor of the logit adjustment, for targets that take it.
        device: Where a teacher is run.
    """
    config, labels, own = prepared.config, prepared.splits.labels, prepared.recipe.target.objective
    if prepared.recipe.loss is not None:
        plain = of_function(prepared.recipe.loss, config.loss)
    elif own is not None:
        plain = own(config.loss, labels, of_train)
    else:
        plain = objective_for(config.loss, labels, of_train, adjustment)
    penalized = attention_loss.regularised(plain, config.loss)
    teacher = prepared.teacher
    return penalized if teacher is None else teacher.objective(penalized, config.distillation, device)


def _augmentation(prepared: Prepared, processor: Any) -> Augment | None:
    made: Augment | None = prepared.recipe.augmentation(processor, prepared.splits.labels, prepared.config)
    return made


def units_of(setup: TrainingSetup, prepared: Prepared) -> Units:
    """Return the units in which the model is read and saved; in training, numbers are standardized.

    Raises:
        ModelError: The model's last layer is not a linear one.
    """
    if not prepared.recipe.target.standardized:
        return Units()
    layer = feature_vectors.output_layer(setup.model, probe(setup.features[0].without(RATIONALE), setup.collate))
    if layer is None or layer.bias is None:
        raise ModelError(
            f"The last layer of {type(setup.model).__name__} is not a linear layer with a bias.",
            "Use another model to predict numbers, such as one of BERT's family or a ViT.",
            id="model.no-linear-head",
        )
    return Units(layer, Scale.of(setup.features[0].columns["labels"]))
