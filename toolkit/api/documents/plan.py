"""The document of `plan`."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from toolkit.api.documents.document import Document

if TYPE_CHECKING:
    from toolkit.commands.plan.run import Elsewhere, Fit, Plan


@dataclass(frozen=True)
class MemoryByComponent:
    """Bytes of memory.

    Attributes:
        weights: The model's weights and buffers.
        gradients: Their gradients.
        moments: The optimizer's moments, and averaged weights.
        activations: What is alive during a forward and backward pass of the largest micro-batch.
        rest: The program, its libraries, the data, and what allocators hold.
        total: Their sum.
    """

    weights: int
    gradients: int
    moments: int
    activations: int
    rest: int
    total: int

    @classmethod
    def of(cls, fit: "Fit") -> "MemoryByComponent":
        """Convert the memory of a device."""
        return cls(**asdict(fit.memory), total=fit.memory.total)


@dataclass(frozen=True)
class PlannedHere:
    """The run on this machine, from measured steps.

    Attributes:
        device: "cpu", "cuda" or "mps".
        precision: "fp32", "bf16" or "fp16".
        memory: Estimated peak.
        memory_limit: Bytes that the machine, its container or its GPU has.
        micro_batch_size: Rows of the largest micro-batch that fits; null where not even one row does.
        accumulation: Micro-batches of a step; null where none fits.
        seconds: Part of the command → seconds.
        total_seconds: Of the whole command.
        joules: Energy of the whole command; null where the machine has no readable counter.
        meter: What counted the energy, or why nothing did.
        measured_steps: Number of steps that were measured.
    """

    device: str
    precision: str
    memory: MemoryByComponent
    memory_limit: int
    micro_batch_size: int | None
    accumulation: int | None
    seconds: dict[str, float]
    total_seconds: float
    joules: float | None
    meter: str
    measured_steps: int


@dataclass(frozen=True)
class PlannedElsewhere:
    """The run on another kind of device: an estimate from published peaks that was not checked.

    Attributes:
        device: Kind of device.
        precision: "fp32", "bf16" or "fp16".
        memory: Estimated peak.
        memory_limit: Bytes that the device has.
        micro_batch_size: Rows of the largest micro-batch that fits; null where not even one row does.
        accumulation: Micro-batches of a step; null where none fits.
        low_seconds: Least estimate of training and validation; null where the run does not fit, as are the next three.
        high_seconds: Greatest estimate.
        low_joules: Least estimate of the energy, at the device's maximum power.
        high_joules: Greatest estimate.
        source: Of the published figures.
    """

    device: str
    precision: str
    memory: MemoryByComponent
    memory_limit: int
    micro_batch_size: int | None
    accumulation: int | None
    low_seconds: float | None
    high_seconds: float | None
    low_joules: float | None
    high_joules: float | None
    source: str

    @classmethod
    def of(cls, fit: "Elsewhere") -> "PlannedElsewhere":
        """Convert an estimate."""
        low, high = fit.seconds or (None, None)
        least, most = fit.joules or (None, None)
        return cls(
            device=fit.device,
            precision=fit.precision,
            memory=MemoryByComponent.of(fit),
            memory_limit=fit.limit,
            micro_batch_size=fit.micro_batch_size,
            accumulation=fit.accumulation,
            low_seconds=low,
            high_seconds=high,
            low_joules=least,
            high_joules=most,
            source=fit.source,
        )


@dataclass(frozen=True)
class Planned(Document, command="plan"):
    """What a run would take.

    Attributes:
        parameters: Number of the model's parameters.
        trainable: How many of them are trained.
        rows: Number of training rows.
        sampled_rows: Number of training rows whose lengths were read.
        tokens: Mean length of a row; null where rows have no lengths.
        steps: Number of optimizer steps, unless training stops early.
        batch_size: Rows of a step.
        here: This machine.
        elsewhere: Other kinds of device.
        notes: What the figures do not cover.
        train: Command line that trains, with the micro-batch that fits here.
    """

    parameters: int
    trainable: int
    rows: int
    sampled_rows: int
    tokens: float | None
    steps: int
    batch_size: int
    here: PlannedHere
    elsewhere: list[PlannedElsewhere]
    notes: list[str]
    train: str

    @classmethod
    def of(cls, plan: "Plan", command: str) -> "Planned":
        """Convert a plan.

        Args:
            plan: It.
            command: Command line of `finetune` with the same options.
        """
        here = plan.here
        measured = PlannedHere(
            device=here.device,
            precision=here.precision,
            memory=MemoryByComponent.of(here),
            memory_limit=here.limit,
            micro_batch_size=here.micro_batch_size,
            accumulation=here.accumulation,
            seconds=here.seconds.parts,
            total_seconds=here.seconds.total,
            joules=here.joules,
            meter=here.meter,
            measured_steps=here.measured_steps,
        )
        smaller = here.micro_batch_size is not None and (here.accumulation or 1) > 1
        train = f"{command} --set training.micro_batch_size={here.micro_batch_size}" if smaller else command
        return cls(
            parameters=plan.parameters,
            trainable=plan.trainable,
            rows=plan.rows,
            sampled_rows=plan.sampled,
            tokens=plan.tokens,
            steps=plan.steps,
            batch_size=plan.batch_size,
            here=measured,
            elsewhere=[PlannedElsewhere.of(fit) for fit in plan.elsewhere],
            notes=list(plan.notes),
            train=train,
        )
