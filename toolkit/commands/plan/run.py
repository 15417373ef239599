"""Estimate memory, time and energy of a run from a short probe, and say on which devices it fits.

rows ──► lengths ──► steps and micro-batches of an epoch ──┐
probe: a few steps on this machine ──► cost by size ───────┼──► this machine: memory, time, energy
count: operations of a micro-batch ────────────────────────┴──► other devices, from their published peaks
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from toolkit import models
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training import probe as finetune_probe
from toolkit.commands.finetune.training.fit import TrainingInputs, adjustment_of, training_inputs
from toolkit.commands.finetune.training.setup import TrainingSetup, gather, objective_of
from toolkit.commands.plan import devices, duration, probe
from toolkit.commands.plan.devices import DEVICES, USABLE, Device, Memory, Model
from toolkit.commands.plan.duration import Seconds
from toolkit.commands.plan.probe import Counts, Trained
from toolkit.commands.plan.shapes import Shape, micro_batches, powers_of_two, steps
from toolkit.commands.time_budget.timing import sample
from toolkit.data.batching.batch import Integers, Ragged
from toolkit.distributed.process_group import ALONE
from toolkit.doctor.machine import memory_limit
from toolkit.events import Note, Observe, Stage
from toolkit.training.loss.objective import RATIONALE

ROWS = 4096  # training rows whose lengths are read at most
VALIDATION_ROWS = 256  # with which the linear probe is tried
LEAST_PROBED = 128  # training rows that it learns from at least
MOST_PROBED = 1000
PROBING = 10.0  # seconds that predicting its rows may take, about


@dataclass(frozen=True)
class Fit:
    """A run on one device.

    Attributes:
        device: Its name.
        precision: "fp32", "bf16" or "fp16".
        memory: Bytes by component, with that micro-batch; of a micro-batch of one row where none fits.
        limit: Bytes that the device has.
        micro_batch_size: Rows of the largest micro-batch that fits; None where not even one row does.
        accumulation: Micro-batches of a step; None where none fits.
    """

    device: str
    precision: str
    memory: Memory
    limit: int
    micro_batch_size: int | None
    accumulation: int | None

    @property
    def fits(self) -> bool:
        """Whether the run fits."""
        return self.micro_batch_size is not None


@dataclass(frozen=True)
class Here(Fit):
    """A run on this machine, from measured steps.

    Attributes:
        seconds: Of the whole command, by part.
        joules: Energy of the whole command; None where the machine has no readable counter.
        meter: What counted the energy, or why nothing did.
        measured_steps: Number of steps that were measured.
    """

    seconds: Seconds
    joules: float | None
    meter: str
    measured_steps: int


@dataclass(frozen=True)
class Elsewhere(Fit):
    """A run on another kind of device: an estimate from published peaks that was not checked.

    Attributes:
        seconds: Least and greatest estimate of training and validation; None where it does not fit.
        joules: The same of the energy at the device's maximum power.
        source: Of the published figures.
    """

    seconds: tuple[float, float] | None
    joules: tuple[float, float] | None
    source: str


@dataclass(frozen=True)
class Plan:
    """What a run takes.

    Attributes:
        parameters: Number of the model's parameters.
        trainable: How many of them are trained.
        rows: Number of training rows.
        sampled: Number of training rows whose lengths were read.
        tokens: Mean length of a row; None where rows have no lengths.
        steps: Number of optimizer steps, unless training stops early.
        batch_size: Rows of a step.
        here: This machine.
        elsewhere: Other kinds of device.
        notes: What the figures do not cover.
    """

    parameters: int
    trainable: int
    rows: int
    sampled: int
    tokens: float | None
    steps: int
    batch_size: int
    here: Here
    elsewhere: Sequence[Elsewhere]
    notes: Sequence[str]


def plan(prepared: Prepared, observe: Observe, started: float, *, compared: bool = False) -> Plan:
    """Estimate what a run takes.

    Args:
        prepared: From `prepare`.
        observe: Called with each event.
        started: Start of the command by `time.monotonic`.
        compared: Whether `finetune` would compare training methods, which is not planned.
    """
    from toolkit.training.acceleration.autotune import configured
    from toolkit.training.distributed.devices import accelerator_for, pick_device

    begun = duration.now()
    config, splits = prepared.config.training, prepared.splits
    few = replace(
        splits,
        train=sample(splits.train, ROWS, config.seed),
        validation=sample(splits.validation, VALIDATION_ROWS, config.seed),
        stream=None,
    )
    reduced = replace(prepared, splits=few)
    setup = gather(reduced, (few.train, few.validation), observe)
    loading = duration.now() - begun
    compute = configured(config, pick_device(config.device))
    accelerator = accelerator_for(config, compute.precision)
    timings = duration.timings(reduced, setup, accelerator.device, loading)
    most = min(few.train.num_rows, MOST_PROBED, max(LEAST_PROBED, int(PROBING / timings.forward)))
    start = duration.now()
    linear = finetune_probe.begin(setup, reduced, accelerator, observe, ALONE, most, on_test=False)
    fixed = duration.now() - start - timings.forward * (most + few.validation.num_rows)
    before = duration.Before(begun - started, timings, max(0.0, fixed), validates=linear.installed)
    inputs = training_inputs(setup, reduced, accelerator, compute, observe, ALONE)
    observe(Stage("Measuring a few optimizer steps"))
    objective = objective_of(reduced, inputs.train.columns["labels"], adjustment_of(prepared.config, linear))
    trained = Trained(reduced, inputs, objective, setup.augment, accelerator, compute)
    lengths, batch, device = inputs.train.lengths, config.batch_size, accelerator.device.type
    held, limit = probe.peak_memory(device), device_memory(device)
    counts = probe.counted(trained)
    epoch = steps(lengths, batch, config.seed)
    model = _whole(probe.described(trained, counts), setup)
    micro = _largest(trained, epoch, counts, held + model.gradients + model.moments, limit) or 1
    measured = probe.timed(trained, epoch, micro, padded=not counts.packed)
    sizes = [_shapes(trained, rows, micro, counts) for rows in epoch]
    step_seconds = float(np.mean([measured.cost.of(reduce(add, parts)) for parts in sizes]))
    activations = [counts.activations.of(shape) for parts in sizes for shape in parts]
    peak = _peak(measured.peaks[-1], held, model, activations, device) + _unread(setup, splits.train_rows)
    memory = Memory(model.weights, model.gradients, model.moments, int(max(activations)), rest=0)
    memory = replace(memory, rest=max(0, peak - memory.total))
    state = memory.total - memory.activations
    fitting = _largest(trained, epoch, counts, state, limit)
    observe(Stage("Measuring what comes before and after training"))
    whole = duration.estimate(prepared, setup, before, step_seconds, head_alone=not inputs.whole)
    power = measured.joules_per_second
    here = Here(
        device=device,
        precision=compute.precision,
        memory=memory,
        limit=limit,
        micro_batch_size=fitting,
        accumulation=_passes(batch, fitting),
        seconds=whole,
        joules=None if power is None else power * whole.total,
        meter=measured.meter,
        measured_steps=len(measured.seconds),
    )
    plain = trained if inputs.whole else replace(trained, inputs=_all_layers(setup))
    anywhere = _whole(probe.described(plain, probe.counted(plain, plain=True)), setup)
    elsewhere = [_elsewhere(device, anywhere, plain, epoch, whole, counts) for device in DEVICES]
    notes = _notes(prepared, few.train.num_rows, compared=compared)
    for text in notes:
        observe(Note(text))
    tokens = float(setup.features[0].lengths.mean()) if setup.features[0].has_lengths else None
    return Plan(
        parameters=models.size(setup.model)[0],
        trainable=models.trainable(setup.model),
        rows=splits.train_rows,
        sampled=few.train.num_rows,
        tokens=tokens,
        steps=whole.steps,
        batch_size=batch,
        here=here,
        elsewhere=elsewhere,
        notes=notes,
    )


def device_memory(device: str) -> int:
    """Return the bytes of memory of the first GPU, or of this machine or its container."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[1])
    import psutil

    total = int(psutil.virtual_memory().total)
    return min(total, memory_limit() or total)


def _peak(measured: int, held: int, model: Model, activations: Sequence[float], device: str) -> int:
    """Return the bytes at the peak of training, of which few steps show only a part.

    On a CPU freed memory stays in the process. Besides the blocks of the largest micro-batch, which do not suit others,
    it holds at the end about as much as a micro-batch of mean size leaves unused of them.

    Args:
        measured: Bytes at the peak of the measured steps.
        held: Bytes before the first step.
        model: Its gradients and moments.
        activations: Bytes of each micro-batch of an epoch.
        device: "cpu", "cuda" or "mps".
    """
    if device == "cuda":
        return measured
    kept = 2 * max(activations) - float(np.mean(activations))
    return max(measured, int(held + model.gradients + model.moments + kept))


def _all_layers(setup: TrainingSetup) -> TrainingInputs:
    """Return the whole model with its inputs, where its head alone is trained on stored features."""
    train, validation = (features.without(RATIONALE) for features in setup.features)
    return TrainingInputs(setup.model, train, validation, setup.collate, whole=True)


def _whole(model: Model, setup: TrainingSetup) -> Model:
    """Return the figures with the weights of the whole model, frozen ones included."""
    tensors = [*setup.model.parameters(), *setup.model.buffers()]
    return replace(model, weights=sum(tensor.numel() * tensor.element_size() for tensor in tensors))


def _unread(setup: TrainingSetup, rows: int) -> int:
    """Return the bytes of model inputs of the training rows that were not read for the plan."""
    features = setup.features[0]
    held = sum((c.values if isinstance(c, Ragged) else c).nbytes for c in features.columns.values())
    return int(held / max(1, len(features)) * max(0, rows - len(features)))


def _shapes(trained: Trained, rows: Integers, micro: int, counts: Counts) -> list[Shape]:
    tokens, lengths = trained.config.micro_batch_tokens, trained.inputs.train.lengths
    return micro_batches(rows, lengths, micro, tokens, padded=not counts.packed)


def _largest(trained: Trained, epoch: Sequence[Integers], counts: Counts, state: int, limit: int) -> int | None:
    """Return the largest micro-batch that fits beside `state` bytes; None where not even one row does."""
    for micro in powers_of_two(trained.config.micro_batch_size or trained.config.batch_size):
        most = max(counts.activations.of(shape) for rows in epoch for shape in _shapes(trained, rows, micro, counts))
        if state + most <= USABLE * limit:
            return micro
    return None


def _passes(batch: int, micro: int | None) -> int | None:
    return None if micro is None else math.ceil(batch / micro)


def _elsewhere(
    device: Device, model: Model, trained: Trained, epoch: Sequence[Integers], whole: Seconds, counts: Counts
) -> Elsewhere:
    precision, limit = device.precision(trained.config.precision), int(device.memory_gb * 1e9)
    head_alone = whole.passes < 1
    for micro in powers_of_two(trained.config.micro_batch_size or trained.config.batch_size):
        sizes = [_shapes(trained, rows, micro, counts) for rows in epoch]
        largest = max((shape for parts in sizes for shape in parts), key=model.activations.of)
        memory = devices.memory(device, model, largest, precision)
        if memory.total <= USABLE * limit:
            break
    else:
        return Elsewhere(device.name, precision, memory, limit, None, None, None, None, device.source)
    low, high = devices.seconds(device, model, sizes, precision)
    read = devices.seconds(device, model, sizes, precision, training=False)
    ratio = whole.steps / len(epoch) if not head_alone else whole.rows / sum(map(len, epoch))
    again = whole.validated / sum(map(len, epoch))
    took = (low * ratio + read[0] * again, high * ratio + read[1] * again)
    joules = (took[0] * device.watts, took[1] * device.watts)
    passes = _passes(trained.config.batch_size, micro)
    return Elsewhere(device.name, precision, memory, limit, micro, passes, took, joules, device.source)


def _notes(prepared: Prepared, sampled: int, *, compared: bool) -> list[str]:
    """Return what the figures do not cover."""
    config, notes = prepared.config.training, []
    rows = prepared.splits.train_rows
    if sampled < rows:
        notes.append(f"Lengths are those of {sampled:,} of {rows:,} training rows, drawn at random.")
    if config.early_stopping_patience is not None:
        notes.append("Training may stop earlier (training.early_stopping_patience).")
    if compared:
        notes.append(
            "Labels are few: `finetune` compares training methods by cross-validation, which takes longer. The figures "
            "are of one training."
        )
    if (config.num_processes or 1) > 1:
        notes.append(f"The figures are of one process; {config.num_processes} share each step.")
    if config.tune_speed:
        notes.append("The settings that training.tune_speed would choose were not measured.")
    return notes
