"""The training loop on a random BERT of two layers, 32 wide: steps, seeds and best weights."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import BertConfig, BertForSequenceClassification

from tests.support.errors import refused
from tests.support.training import train
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Ragged, pad, plan_epoch
from toolkit.errors import RunError
from toolkit.training.loop import progress
from toolkit.training.loop.progress import NonFiniteLoss, Progress, Validation
from toolkit.training.loop.step_plan import StepPlan
from toolkit.training.loss.objective import OWN, cross_entropy

ROWS = 44


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other over so small a model take the whole time on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_clock(monkeypatch):
    """Progress is reported at the ends of windows, independent of the machine's speed."""
    monkeypatch.setattr(progress, "REPORT_EVERY_SECONDS", math.inf)


def build(dropout: float = 0.0) -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


def data(rows: int = ROWS) -> Features:
    """Texts of 4 to 12 tokens; token 3 marks class 1."""
    random = np.random.default_rng(0)
    lengths = random.integers(4, 13, rows)
    labels = random.integers(0, 2, rows)
    texts = [
        np.where(np.arange(n) == 1, 3 + 2 * label, random.integers(10, 50, n))
        for n, label in zip(lengths, labels, strict=True)
    ]
    ids = Ragged(np.concatenate(texts).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    return Features({"input_ids": ids, "labels": labels}, lengths)


def collate(features):
    return pad(features, {"labels": -100})


class Fit:
    """One call of `train`, with its notes and saved states."""

    def __init__(
        self,
        model=None,
        features=None,
        losses=None,
        metric=None,
        seed=0,
        objective=OWN,
        seen=None,
        write=None,
        early=None,
        validate_first=False,
        limit=None,
        **config,
    ):
        self.model = model if model is not None else build()
        self.events, self.saved = [], []
        scripted = iter(losses) if losses is not None else None

        def validate(model):
            assert not model.training
            if seen is not None:
                seen.append(copy.deepcopy(model.state_dict()))
            value = next(scripted) if scripted is not None else 1.0 - len(self.validations) / 100
            figure, loss = value if isinstance(value, tuple) else (value, 0.5)
            return {"loss": figure} if metric is None else {"loss": loss, metric: figure}

        defaults = {"batch_size": 8, "epochs": 1, "learning_rate": 1e-3, "early_stopping_patience": None}
        set_seed(seed)
        self.result = train(
            self.model,
            features if features is not None else data(),
            collate,
            TrainingConfig(**{**defaults, "seed": seed, "best_metric": metric or "loss", **config}),
            Accelerator(cpu=True),
            objective=objective,
            validate=validate,
            save=lambda best, step: self.saved.append(copy.deepcopy(best.state_dict())),
            higher_is_better=metric is not None,
            observe=self.events.append,
            write_state=write,
            early=early,
            validate_first=validate_first or limit is not None,
            limit=limit,
        )

    @property
    def validations(self):
        return [event for event in self.events if isinstance(event, Validation)]

    @property
    def weights(self):
        return self.model.state_dict()


def equal(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


# --- a limited time ---------------------------------------------------------------------------------------------------


class Limited(StepPlan):
    """A plan of a fixed number of steps, as if the clock had it so from some step on."""

    def __init__(self, steps, most, every, since=0):
        super().__init__(TrainingConfig(learning_rate=1e-3), most, every, lambda _rise: 0.0, 1.0, 0.0, 0.0)
        self.steps, self.since = steps, since

    def _fitting(self, step, seconds):
        return (self.most if step < self.since else self.steps), True


def test_training_ends_when_the_time_does_and_its_last_weights_are_validated():
    fit = Fit(epochs=3, limit=lambda most, every: Limited(9, most, every))
    assert (fit.result.steps, fit.result.total_steps, fit.result.unlimited_steps) == (9, 9, 18)
    assert [item.step for item in fit.validations] == [0, 6, 9]
    assert not fit.result.stopped_early


def test_training_ends_at_once_when_there_is_no_time_left():
    fit = Fit(epochs=3, limit=lambda most, every: Limited(7, most, every, since=7))
    assert fit.result.steps == 7
    assert [item.step for item in fit.validations] == [0, 6, 7]


def test_without_time_the_model_is_the_one_that_came():
    fit = Fit(epochs=3, limit=lambda most, every: Limited(0, most, every))
    assert (fit.result.steps, fit.result.best_step, fit.result.unlimited_steps) == (0, 0, 18)
    assert [item.step for item in fit.validations] == [0]
    assert equal(fit.saved[0], build().state_dict())


def test_a_plan_that_limits_nothing_changes_no_weight():
    plain = Fit(epochs=2)
    limited = Fit(epochs=2, limit=lambda most, every: Limited(most, most, every))
    for name, weights in plain.weights.items():
        torch.testing.assert_close(limited.weights[name], weights, rtol=1e-4, atol=1e-6)


# --- steps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro", [1, 3, 4])
def test_micro_batches_make_the_same_steps_as_one_batch(micro):
    whole, pieces = Fit(epochs=2), Fit(epochs=2, micro_batch_size=micro)
    assert pieces.result.steps == whole.result.steps == 12
    for name, weights in whole.weights.items():
        torch.testing.assert_close(pieces.weights[name], weights, rtol=1e-4, atol=2e-6)
    assert [entry["value"] for entry in pieces.result.losses] == pytest.approx(
        [entry["value"] for entry in whole.result.losses]
    )
    assert not equal(whole.weights, build().state_dict())


def test_micro_batches_weigh_items_not_batches():
    """Labels of words: a row of one counted label must not weigh as much as a row of many."""

    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = torch.nn.Embedding(50, 2)
            torch.nn.init.zeros_(self.scores.weight)

        def forward(self, input_ids, labels, attention_mask):
            logits = self.scores(input_ids)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
            return type("Output", (), {"loss": loss})

    lengths = np.array([1, 9, 2, 5, 3, 3])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = Ragged(np.arange(lengths.sum(), dtype=np.int32), starts)
    labels = Ragged(
        np.where(np.arange(lengths.sum()) % 5 == 1, -100, np.arange(lengths.sum()) % 2).astype(np.int32), starts
    )
    labels.values[starts[2] : starts[3]] = -100  # a row in which nothing counts
    features = Features({"input_ids": ids, "labels": labels}, lengths)
    fits = [
        Fit(
            Words(),
            features,
            batch_size=6,
            micro_batch_size=micro,
            epochs=3,
            max_grad_norm=0,
            warmup_fraction=0,
            adam_epsilon=1.0,
        )
        for micro in (None, 1)
    ]
    torch.testing.assert_close(fits[0].weights["scores.weight"], fits[1].weights["scores.weight"])
    assert fits[0].weights["scores.weight"].abs().sum() > 0


LOSSES = {"weighted": ([0.3, 4.0], 0.0, 0.0), "focal": (None, 2.0, 0.0), "all": ([0.3, 4.0], 1.5, 0.1)}


@pytest.mark.parametrize("loss", LOSSES)
def test_eight_times_one_is_one_times_eight_with_any_loss(loss):
    objective = cross_entropy(*LOSSES[loss])
    whole = Fit(epochs=2, objective=objective)
    ones = Fit(epochs=2, objective=objective, micro_batch_size=1)
    for name, weights in whole.weights.items():
        torch.testing.assert_close(ones.weights[name], weights, rtol=1e-4, atol=2e-6)
    assert [e["value"] for e in ones.result.losses] == pytest.approx([e["value"] for e in whole.result.losses])
    assert not equal(whole.weights, Fit(epochs=2).weights)


def test_cross_entropy_with_nothing_set_is_the_models_own_loss():
    plain, own = Fit(epochs=2, objective=cross_entropy(None, 0.0, 0.0)), Fit(epochs=2)
    for name, weights in own.weights.items():
        torch.testing.assert_close(plain.weights[name], weights, rtol=1e-4, atol=2e-6)


def test_class_of_weight_zero_has_no_gradient():
    features = data()
    features.columns["labels"][:] = 1
    before = build().state_dict()
    after = Fit(features=features, objective=cross_entropy([1.0, 0.0], 0.0, 0.0), weight_decay=0).weights
    assert equal(before, after)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 6), (0.5, 3), (0.01, 1), (2.5, 15)])
def test_epochs_and_steps(epochs, steps):
    result = Fit(epochs=epochs).result
    assert result.steps == result.total_steps == steps
    assert result.epochs == pytest.approx(steps / 6)


def test_evaluation_every_so_many_steps_and_at_the_end():
    fit = Fit(epochs=2, evaluate_every=5)
    assert [v.step for v in fit.validations] == [5, 10, 12]
    assert fit.result.validations == fit.validations
    assert [v.step for v in Fit(epochs=2).validations] == [6, 12]
    assert [v.step for v in Fit(evaluate_every=100).validations] == [6]


def test_early_validation_does_not_affect_training():
    looked = []

    def look(model):
        assert not model.training
        looked.append(copy.deepcopy(model.state_dict()))
        return {"loss": 0.0}  # better than every validation, and yet not kept

    without = Fit(model=build(0.1), losses=[0.5, 0.4], epochs=5, evaluate_every=15)
    fit = Fit(model=build(0.1), losses=[0.5, 0.4], epochs=5, evaluate_every=15, early=look)
    first, *others = fit.validations
    assert (first.step, first.early, first.best) == (3, True, False)
    assert others == without.validations
    assert fit.result.validations == without.result.validations
    assert fit.result.losses == without.result.losses
    assert equal(fit.weights, without.weights)
    assert len(fit.saved) == len(without.saved)
    assert not equal(looked[0], fit.weights)


def test_no_first_figure_where_a_validation_comes_as_soon():
    look = dict.fromkeys(["loss"], 0.0)
    for options in ({"evaluate_every": 3}, {"validate_first": True}):
        fit = Fit(epochs=5, early=lambda _model: look, **options)
        assert not any(validation.early for validation in fit.validations)


def test_progress_is_reported_before_validation():
    fit = Fit(epochs=2, evaluate_every=4)
    progress = [event for event in fit.events if isinstance(event, Progress)]
    assert [p.step for p in progress][-1] == 12
    assert all(p.total_steps == 12 and p.samples_per_second > 0 and math.isfinite(p.loss) for p in progress)
    assert progress[-1].seconds_left == 0
    assert [entry["step"] for entry in fit.result.losses] == [p.step for p in progress]
    assert 0 < progress[-1].learning_rate < progress[0].learning_rate <= 1e-3


def test_losses_are_averaged_over_windows_that_the_clock_does_not_decide(monkeypatch):
    every = [entry["value"] for entry in Fit().result.losses]
    monkeypatch.setattr(progress, "WINDOWS", 3)
    slow = Fit()
    monkeypatch.setattr(progress, "REPORT_EVERY_SECONDS", 0.0)
    quick = Fit()
    assert slow.result.losses == quick.result.losses
    assert [entry["step"] for entry in slow.result.losses] == [2, 4, 6]
    assert slow.result.losses[1]["value"] == pytest.approx((every[2] + every[3]) / 2)
    notes = [event for event in quick.events if isinstance(event, Progress)]
    assert [(event.step, event.whole) for event in notes] == [(step, step % 2 == 0) for step in range(1, 7)]


class Loss:
    """A loss that records when it is read."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.read = False

    def __float__(self) -> float:
        self.read = True
        return self.value


def test_losses_stay_on_the_device_until_reported():
    meter = progress.Meter(4)  # each step ends a window, and a GPU is not waited for
    losses = [Loss(0.1 * step) for step in (1, 2, 3)]
    for step, loss in enumerate(losses, 1):
        meter.count(step, step / 4, 1e-3 / step, loss, np.arange(4))
    assert not any(loss.read for loss in losses)
    notes = [(at.step, at.epoch, at.learning_rate, at.loss, at.whole) for at in meter.report()]
    assert notes == [(step, step / 4, 1e-3 / step, 0.1 * step, True) for step in (1, 2, 3)]
    assert [entry["step"] for entry in meter.losses] == [1, 2, 3]
    assert list(meter.report()) == []


def test_progress_before_nan_loss_is_reported():
    meter = progress.Meter(4)
    for step, loss in enumerate((0.5, math.nan, 0.5), 1):
        meter.count(step, step / 4, 1e-3, loss, np.arange(step))
    result = meter.report()
    assert next(result).loss == 0.5
    with refused(progress.NonFiniteLoss, "run.loss-not-finite") as raised:
        next(result)
    assert (raised.value.step, list(raised.value.rows)) == (2, [0, 1])


def test_window_continues_from_state():
    def count(meter, *steps):
        for step in steps:
            meter.count(step, step / 9, 1e-3, torch.tensor(0.1 * step), np.arange(4))
        return [at.loss for at in meter.report()][-1]

    whole, first, second = (progress.Meter(1000) for _ in range(3))
    count(first, 1, 2)
    second.restore(json.loads(json.dumps(first.facts())))
    assert count(second, 3) == count(whole, 1, 2, 3) == pytest.approx(0.2)


def test_it_learns():
    losses = [entry["value"] for entry in Fit(epochs=12, learning_rate=3e-3).result.losses]
    assert losses[-1] < 0.2 < 0.5 < losses[0]


def test_the_model_trains_in_training_mode():
    modes = []

    class Watched(BertForSequenceClassification):
        def forward(self, *arguments, **named):
            if torch.is_grad_enabled():  # the trial without padding is no training
                modes.append(self.training)
            return super().forward(*arguments, **named)

    Fit(Watched(build().config), epochs=2)
    assert modes == [True] * 12


# --- seeds ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_to_the_bit():
    first, same, other = (Fit(build(dropout=0.2), seed=seed) for seed in (3, 3, 4))
    assert equal(first.weights, same.weights)
    assert not equal(first.weights, other.weights)
    assert first.result.losses == same.result.losses


# --- what may move --------------------------------------------------------------------------------------------------


def test_frozen_parameters_stay_as_they_are():
    model = build()
    model.bert.embeddings.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    after = Fit(model, weight_decay=0.5).weights
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(name.startswith("bert.embeddings") for name in moved)
    assert {name for name in before if "encoder.layer" in name and name.endswith("weight")} <= moved


def test_layers_further_from_the_head_move_less():
    before = build().state_dict()
    plain, decayed = Fit().weights, Fit(layer_decay=0.3).weights

    def moved(weights, part):
        names = [name for name in before if part in name and name.endswith("weight")]
        return math.sqrt(sum(((weights[name] - before[name]) ** 2).sum().item() for name in names))

    ratios = [moved(decayed, part) / moved(plain, part) for part in ("embeddings", "layer.0", "layer.1", "classifier")]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.1 < 0.7 < ratios[-1]


# --- the average of the weights -------------------------------------------------------------------------------------


def test_average_is_validated_and_saved():
    judged = []
    plain = Fit(epochs=3)
    fit = Fit(epochs=3, ema_decay=0.8, seen=judged)
    assert equal(plain.weights, fit.weights)
    assert plain.result.losses == fit.result.losses
    assert len(judged) == 3
    for item, saved in zip(judged, fit.saved, strict=True):
        assert equal(item, saved)
        assert not equal(saved, fit.weights)


def test_large_gradients_are_scaled_down():
    """One step of plain gradient descent in disguise: with a large epsilon Adam's step is its gradient's size."""
    start = build().state_dict()

    def moved(**config):
        fit = Fit(
            epochs=0.01,
            adam_beta1=0,
            adam_beta2=0,
            adam_epsilon=1e3,
            learning_rate=0.9,
            weight_decay=0,
            warmup_fraction=0,
            **config,
        )
        return math.sqrt(sum(((fit.weights[name] - start[name]) ** 2).sum().item() for name in start))

    free = moved(max_grad_norm=0)
    assert moved(max_grad_norm=1e6) == pytest.approx(free, rel=1e-3)
    assert moved(max_grad_norm=0.01) == pytest.approx(0.01 * 0.9 / 1e3, rel=0.05)
    assert free > 2 * 0.01 * 0.9 / 1e3


# --- the best weights -----------------------------------------------------------------------------------------------


def test_the_best_weights_are_saved_and_not_the_last():
    fit = Fit(epochs=4, losses=[0.9, 0.4, 0.8, 0.7])
    assert [v.best for v in fit.validations] == [True, True, False, False]
    assert fit.result.best_step == 12
    assert len(fit.saved) == 2
    assert equal(fit.saved[-1], Fit(epochs=4, losses=[0.9, 0.4, 0.3, 0.7]).saved[1])
    assert not equal(fit.saved[-1], fit.weights)


def test_a_metric_that_rises_is_followed_upwards():
    fit = Fit(epochs=4, metric="accuracy", losses=[0.5, 0.7, 0.6, 0.7])
    assert [v.best for v in fit.validations] == [True, True, False, False]  # no better is not best


def test_of_equal_metrics_the_lower_loss_is_best():
    fit = Fit(epochs=4, metric="accuracy", losses=[(0.5, 0.3), (0.5, 0.4), (0.5, 0.2), (0.4, 0.1)])
    assert [v.best for v in fit.validations] == [True, False, True, False]


def test_a_first_validation_that_is_bad_is_still_kept():
    assert Fit(metric="accuracy", losses=[-1e30]).result.best_step == 6


def test_early_stopping_fires_and_is_reported():
    fit = Fit(epochs=10, losses=[0.9, 0.5, 0.6, 0.5, 0.4], early_stopping_patience=2)
    assert fit.result.stopped_early
    assert (fit.result.steps, fit.result.total_steps, fit.result.best_step) == (24, 60, 12)


def test_patience_begins_anew_with_each_improvement():
    fit = Fit(epochs=6, losses=[0.9, 1.0, 0.8, 1.0, 0.7, 1.0], early_stopping_patience=2)
    assert not fit.result.stopped_early
    assert fit.result.steps == 36


def test_stopping_at_the_very_end_is_not_early():
    fit = Fit(epochs=3, losses=[0.5, 0.6, 0.7], early_stopping_patience=2)
    assert fit.result.steps == 18
    assert not fit.result.stopped_early


def test_without_patience_nothing_stops_early():
    assert Fit(epochs=5, losses=[0.1, 1, 1, 1, 1]).result.steps == 30


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_ends_the_run():
    model = build()
    torch.nn.init.constant_(model.classifier.weight, float("nan"))
    with refused(RunError, "run.loss-not-finite", "training loss", "nan", "step") as caught:
        Fit(model)
    assert caught.value.fix == "Lower the learning rate (--learning-rate)."
    assert "compute in fp32" in progress.calmer("bf16")


def test_the_examples_of_the_step_that_went_wrong_are_named_and_no_state_is_written_of_it():
    features = data()
    plan = plan_epoch(features.lengths, 8, seed=0, epoch=0)
    ids = features.columns["input_ids"]
    ids.values[ids.values == 49] = 48
    ids[int(plan[3][2])][1] = 49
    model, written = build(), []
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[49] = float("nan")
    with refused(NonFiniteLoss, "run.loss-not-finite") as caught:
        Fit(
            model,
            features,
            epochs=2,
            max_grad_norm=0,
            write=lambda step, *_: written.append(step),
            checkpoint_minutes=1e-9,
        )
    assert caught.value.step == 4
    assert caught.value.rows.tolist() == plan[3].tolist()
    assert written == [1, 2, 3]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_validation_that_is_no_number_ends_the_run_and_is_never_the_best(value):
    with refused(RunError, "run.loss-not-finite", "validation loss"):
        Fit(losses=[value])
    with refused(RunError, "run.loss-not-finite", "validation accuracy"):
        Fit(losses=[value], metric="accuracy")


def test_validation_errors_propagate():
    with pytest.raises(StopIteration):
        Fit(epochs=2, losses=[0.5])


# --- memory and stopping --------------------------------------------------------------------------------------------


class Hungry(torch.nn.Module):
    """A model that runs out of memory above a number of examples."""

    def __init__(self, most: int):
        super().__init__()
        self.inner, self.most, self.sizes = build(), most, []

    def forward(self, **batch):
        self.sizes.append(len(batch["labels"]))
        if len(batch["labels"]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.inner(**batch)


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_step():
    hungry = Hungry(most=3)
    fit = Fit(model=hungry, epochs=2)
    assert max(size for size in hungry.sizes[3:]) <= 3
    whole = Fit(epochs=2)
    assert fit.result.steps == whole.result.steps
    for name, weights in whole.weights.items():
        torch.testing.assert_close(hungry.inner.state_dict()[name], weights, rtol=1e-4, atol=2e-6)


def test_out_of_memory_for_one_example_is_reported():
    with refused(RunError, "machine.out-of-memory", "--max-length"):
        Fit(model=Hungry(most=0))


def test_another_runtime_error_comes_through():
    class Broken(Hungry):
        def forward(self, **batch):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Fit(model=Broken(most=1))
