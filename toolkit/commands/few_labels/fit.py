"""Fit the best of several training methods on all labelled rows, and keep the results of the comparison.

    `candidates.compared` → the chosen method, trained on all rows → model
                          → its out-of-fold logits → temperature, validation figures, thresholds

Every figure in the report's training section comes from models that were not trained on the rows in question.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from toolkit import models, runs
from toolkit.commands.few_labels import candidates
from toolkit.commands.few_labels.adapt import adapt
from toolkit.commands.few_labels.candidates import FOLDS, PROBE, CandidateInputs, Trained
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.resume import stoppable
from toolkit.commands.finetune.training.facts import input_facts, log_line, training_facts
from toolkit.commands.finetune.training.fit import Fitted
from toolkit.commands.finetune.training.tokenize import encode_parts
from toolkit.distributed.process_group import ALONE, Team
from toolkit.evaluation import scores
from toolkit.events import Note, Observe, Stage
from toolkit.tasks.contract import Recipe, with_accepted
from toolkit.training.acceleration import autotune
from toolkit.training.adaptation import probe_kinds, selection
from toolkit.training.adaptation.feature_vectors import HEAD, MEAN
from toolkit.training.adaptation.selection import OutOfFold
from toolkit.training.loop import checkpoint
from toolkit.training.loop.progress import Progress, Validation


def fit_few_labels(run: runs.Run, prepared: Prepared, observe: Observe, team: Team) -> Fitted:
    """Compare training methods, fit the best one on all rows and keep its model.

    The main process computes and the others wait, since there are few rows. No state is saved in the
    middle: `--resume` compares again, with the same result.
    """
    return team.from_main(lambda: _fit(run, prepared, observe))


def _fit(run: runs.Run, prepared: Prepared, observe: Observe) -> Fitted:
    def watch(event: Progress | Validation) -> None:
        if isinstance(event, Progress):
            observe(event)
            if event.whole:
                run.log(log_line(event))

    with stoppable() as stop_requested:
        inputs = candidates.prepare_inputs(prepared, observe, stop_requested)
        baseline, probe_inputs = _baseline(inputs, prepared), inputs
        adapted, pretraining = adapt(run, prepared, observe, stop_requested)
        methods = candidates.methods(inputs, adapted)
        results, seconds = candidates.compared(methods, observe)
        chosen = candidates.choose(results)
        observe(Stage(f"Training on all rows: {chosen}"))
        begun = time.perf_counter()
        inputs = methods[chosen].inputs
        trained = methods[chosen].train(np.arange(len(inputs.labels)), watch)
        trained = replace(trained, result=replace(trained.result, seconds=time.perf_counter() - begun))
    winner = results[chosen]
    by = selection.temperature(winner.logits, winner.labels)
    inputs.install(trained.weight / by, trained.bias / by)
    best = checkpoint.best_path(run.path / "checkpoints", trained.result.best_step)
    models.save(inputs.model, inputs.setup.processor, best)
    columns = _predictions(prepared.recipe, inputs.setup.processor, winner)
    facts = {
        **_training(inputs, prepared, trained, winner, columns),
        "linear_probe": _probe_facts(results[PROBE], probe_inputs),
        "few_labels": {**_comparison(results, chosen, seconds, by), "pretraining": pretraining},
    }
    for point in facts["evaluations"]:
        run.log({"event": "validation", **point, "best": True})
    run.record(few_labels=chosen, acceleration=prepared.config.training.acceleration)
    observe(Note(_sentence(facts["few_labels"])))
    given = prepared.splits.validation.num_rows > 0
    return Fitted(best, facts, baseline, None if given else (columns["probabilities"], winner.labels.tolist()))


def _baseline(inputs: CandidateInputs, prepared: Prepared) -> dict[str, list[Any]]:
    """Return the test predictions of the linear probe that is fitted on all rows."""
    if not prepared.config.evaluation.baselines:
        return {}
    splits, processor, quiet = prepared.splits, inputs.setup.processor, lambda _event: None
    (test,) = encode_parts((splits.test,), prepared.recipe, splits.labels, processor, inputs.config, quiet)
    weight, bias = inputs.regression(inputs.frozen, np.arange(len(inputs.labels)))
    chosen = (inputs.vectors(test)[HEAD] @ weight.T + bias).argmax(axis=1).tolist()
    return {
        probe_kinds.ONE_CLASS.baseline: [prepared.recipe.target.of_class(number, splits.labels) for number in chosen]
    }


def _predictions(recipe: Recipe, processor: Any, winner: OutOfFold) -> dict[str, Any]:
    """Return the predictions of the out-of-fold logits: "prediction" and "probabilities" of each row."""
    import torch

    outputs = SimpleNamespace(logits=torch.from_numpy(winner.scaled()))
    made: dict[str, Any] = with_accepted(recipe.predictions, processor=processor)(outputs, {})
    return made


def _training(
    inputs: CandidateInputs, prepared: Prepared, trained: Trained, winner: OutOfFold, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report's facts of training; its one validation is that of the out-of-fold predictions."""
    config = inputs.config.model_copy(update={"training": trained.config})
    result, device = trained.result, inputs.accelerator.device.type
    facts = input_facts(inputs.setup.features[0], prepared.recipe)
    facts |= training_facts(result, config, device, autotune.configured(config.training, device), ALONE)
    figures = scores.values(columns, winner.labels.tolist(), prepared.recipe.metrics, prepared.splits.labels)
    loss = float(-winner.log_likelihoods().mean())
    point = {"step": result.steps, "epoch": round(result.epochs, 4), "loss": loss, **figures}
    trainable = models.trainable(inputs.model) if result.steps else inputs.layer.weight.numel() + inputs.classes
    return facts | {"objective": trained.objective, "trainable_parameters": trainable, "evaluations": [point]}


def _probe_facts(probe: OutOfFold, inputs: CandidateInputs) -> dict[str, Any]:
    return {
        "pooling": MEAN if inputs.pooled else HEAD,
        "accuracy": probe.accuracy(),
        "loss": float(-probe.log_likelihoods().mean()),
        "installed": True,
        "pooling_layer": inputs.pooled,
        "logit_adjustment": 0.0,
    }


def _comparison(
    results: Mapping[str, OutOfFold], chosen: str, seconds: Mapping[str, float], temperature: float
) -> dict[str, Any]:
    """Return the comparison as the report holds it."""
    rows = []
    for name, candidate in results.items():
        ahead, error = selection.difference(candidate, results[chosen]) if name != chosen else (None, None)
        rows.append(
            {
                "name": name,
                "folds": len(candidate.done),
                "accuracy": candidate.accuracy(),
                "log_likelihood": float(candidate.log_likelihoods().mean()),
                "standard_error": candidate.standard_error(),
                "difference": ahead,
                "difference_standard_error": error,
                "seconds": round(seconds[name], 2),
            }
        )
    return {
        "rows": len(results[chosen].labels),
        "folds": FOLDS,
        "chosen": chosen,
        "reason": candidates.reason(chosen),
        "temperature": temperature,
        "candidates": rows,
    }


def _sentence(comparison: Mapping[str, Any]) -> str:
    """Describe the comparison in a sentence."""
    figures = "; ".join(
        f"{row['name']} {row['accuracy']:.1%} (log-likelihood {row['log_likelihood']:.3f})"
        for row in comparison["candidates"]
    )
    kept = f"Kept: {comparison['chosen']}, because {comparison['reason']}."
    return f"Cross-validated on {comparison['rows']:,} rows: {figures}. {kept}"
