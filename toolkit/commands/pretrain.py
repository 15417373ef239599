"""Adapt a checkpoint to texts without labels by masked language modelling, before it is fine-tuned.

Source: Gururangan et al. 2020, "Don't Stop Pretraining: Adapt Language Models to Domains and Tasks".
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit import checkpoints, models, runs
from toolkit.commands import unlabelled
from toolkit.commands.finetune.resume import stoppable
from toolkit.commands.finetune.training.facts import training_facts
from toolkit.config import Resolved
from toolkit.distributed.process_group import ALONE
from toolkit.events import Note, Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel
from toolkit.tasks.contract import Recipe

FACTS = "pretraining.json"  # beside the weights


def pretrain(recipe: Recipe, resolved: Resolved, observe: Observe) -> tuple[Path, dict[str, Any]]:
    """Train a checkpoint to predict masked tokens of texts, and write it as a checkpoint.

    Args:
        recipe: A recipe that reads texts, and tokenizes them.
        resolved: From `configure`; labels of the data are not read.
        observe: Called with each event.

    Returns:
        The folder, and the contents of its `pretraining.json`.

    Raises:
        ModelError: The tokenizer has no mask token, or the family no masked language model.
        DataError: There are too few texts.
    """
    from accelerate.utils import set_seed

    from toolkit.training.acceleration import autotune
    from toolkit.training.adaptation import masking
    from toolkit.training.distributed.devices import accelerator_for, pick_device
    from toolkit.training.loop.arguments import Callbacks, Selection, TrainingData
    from toolkit.training.loop.train import train

    runs.check_place(resolved.config.output)
    observe(Stage("Locating model and data"))
    checkpoint = checkpoints.locate(resolved.config.model, resolved.config.loading)
    resolved = _filled(resolved, checkpoint)
    config, training = resolved.config, resolved.config.training
    set_seed(training.seed)
    processor = unlabelled.load_processor(recipe, checkpoint, config)
    learned, held_out = unlabelled.parts(recipe, resolved)
    observe(Stage("Loading the model"))
    model, is_new = models.load_masked(checkpoint.path, config.loading, training)
    if is_new:
        observe(Note("The checkpoint has no language-model head: the output layer starts as the word embeddings."))
    observe(Stage("Tokenizing"))
    subject = LoadedModel(model, processor, recipe, (), config)
    features, others = (encode_rows(rows, subject) for rows in (learned, held_out))
    device = pick_device(training.device)
    chosen = autotune.configured(training, device)
    accelerator = accelerator_for(training, chosen.precision)
    folder = runs.free(Path(config.output)) if config.output else _place(checkpoint.name)
    fixed = masking.collate(processor, training.seed, fixed=True)

    def validate(network: Any) -> dict[str, float]:
        return {"loss": _loss(network, others, fixed, config.evaluation.batch_size, training.acceleration == "off")}

    observe(Stage(f"Training on {device} in {chosen.precision}"))
    with stoppable() as stop_requested:
        result = train(
            model.to(accelerator.device),
            TrainingData(features, masking.collate(processor, training.seed)),
            training,
            accelerator,
            selection=Selection(
                validate, save=lambda best, _step: models.save(best, processor, folder), validate_first=True
            ),
            callbacks=Callbacks(observe, lambda text: observe(Note(text)), stop_requested=stop_requested),
            compute=chosen,
        )
    by_step = {validation.step: math.exp(validation.values["loss"]) for validation in result.validations}
    facts = {
        "model": checkpoint.origin,
        "data": config.data.source,
        "texts": len(features),
        "held_out_texts": len(others),
        "truncated": features.truncated,
        "new_head": is_new,
        "masked_share": masking.SHARE,
        "perplexity_before": by_step[0],
        "perplexity": by_step[result.best_step],
        "training": training_facts(result, config, device, chosen, ALONE),
    }
    runs.write_json(folder / FACTS, facts)
    return folder, facts


def _place(name: str) -> Path:
    return runs.free(runs.HOME / f"pretrain-{runs.slug(name)}-{datetime.now(UTC):%Y%m%d-%H%M%S}")


def _filled(resolved: Resolved, checkpoint: checkpoints.Checkpoint) -> Resolved:
    """Set the learning rate and the longest input by the checkpoint, and pick the best weights by their loss."""
    values: dict[str, Any] = {"best_metric": "loss"}
    if resolved.config.training.learning_rate is None:
        values["learning_rate"] = checkpoints.learning_rate(checkpoint, "none", from_scratch=False, head_alone=False)
    longest = checkpoints.longest_input(checkpoint) or resolved.config.data.max_length
    data = {"max_length": min(resolved.config.data.max_length, longest)}
    return resolved.with_values("from the model", {"training": values, "data": data})


def _loss(model: Any, features: Any, collate: Any, batch_size: int, padded: bool) -> float:
    """Return the mean loss over masked tokens of held-out texts, in nats."""
    from toolkit.inference.predict import predict

    model.eval()
    empty: Mapping[str, Any] = {}
    predictions = predict(
        model,
        features,
        collate,
        lambda _outputs, _batch: dict(empty),
        batch_size=batch_size,
        padded=padded,
    )
    return float("nan") if predictions.loss is None else predictions.loss
