"""Kinds of device with their published peaks, and estimates of a run on them.

Nothing here is measured. A step takes at least as long as its matrix products at the published peak, the bytes it
moves at the published bandwidth, or the start of its operations by the host; how near a program comes to the peaks is a
range, and so is each estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.commands.plan.shapes import Cost, Shape

PEAK = (0.6, 0.25)  # share of the published matrix peak that is reached, at best and at worst
BANDWIDTH = (0.9, 0.5)  # the same of the bandwidth
LAUNCH = (4e-6, 12e-6)  # seconds in which the host starts an operation, at best and at worst
USABLE = 0.9  # share of the memory that tensors can fill
CONTEXT = 2**30  # bytes of the driver's context, libraries and the allocator's blocks
HALF = 0.75  # bytes of the tensors of a step in 16 bits, as a share of those in 32: norms and sums stay in 32 bits
UPDATE = 28  # bytes that AdamW moves for each parameter: it reads four numbers and writes three
FORWARD = 1 / 3  # share of the forward pass in the work of a training step


@dataclass(frozen=True)
class Device:
    """A kind of device, as its maker describes it.

    Attributes:
        name: Of the kind.
        memory_gb: 10⁹ bytes of memory.
        bandwidth: Bytes per second between memory and processor.
        single: Floating-point operations per second of matrix products in 32 bits, as torch computes them by default.
        half: The same in 16 bits, dense.
        bf16: Whether bfloat16 is computed in hardware.
        watts: Maximum power.
        source: Where the maker says so.
    """

    name: str
    memory_gb: float
    bandwidth: float
    single: float
    half: float
    bf16: bool
    watts: float
    source: str

    def precision(self, wanted: str) -> str:
        """Return the precision of a run: "auto" is what the toolkit chooses there."""
        if wanted == "auto":
            return "bf16" if self.bf16 else "fp32"
        return "fp16" if wanted == "bf16" and not self.bf16 else wanted


DEVICES = (
    Device("NVIDIA T4", 16, 320e9, 8.1e12, 65e12, False, 70, "NVIDIA T4 datasheet, 2019"),
    Device("NVIDIA L4", 24, 300e9, 30.3e12, 121e12, True, 72, "NVIDIA L4 datasheet, 2023; half of the sparse peak"),
    Device("NVIDIA A10", 24, 600e9, 31.2e12, 125e12, True, 150, "NVIDIA A10 datasheet, 2021"),
    Device("NVIDIA A100 PCIe 40 GB", 40, 1555e9, 19.5e12, 312e12, True, 250, "NVIDIA A100 datasheet, 2020"),
    Device("NVIDIA A100 SXM 80 GB", 80, 2039e9, 19.5e12, 312e12, True, 400, "NVIDIA A100 datasheet, 2021"),
    Device("NVIDIA H100 SXM", 80, 3350e9, 67e12, 989e12, True, 700, "NVIDIA H100 datasheet, 2023; half of the sparse"),
    Device("AMD MI300X", 192, 5300e9, 163.4e12, 1307e12, True, 750, "AMD Instinct MI300X datasheet, 2023"),
)


@dataclass(frozen=True)
class Model:
    """What a run computes, independent of the device.

    Attributes:
        weights: Bytes of weights and buffers.
        gradients: Bytes of gradients.
        moments: Bytes of the optimizer's moments, and of averaged weights.
        flops: Of the forward and backward pass of a micro-batch, in floating-point operations.
        moved: Of the same, in bytes.
        activations: Bytes of tensors that are alive during a micro-batch at most.
        operations: Number of operations of a micro-batch.
    """

    weights: int
    gradients: int
    moments: int
    flops: Cost
    moved: Cost
    activations: Cost
    operations: int


@dataclass(frozen=True)
class Memory:
    """Bytes by component.

    Attributes:
        weights: The model's weights and buffers.
        gradients: Their gradients.
        moments: The optimizer's moments, and averaged weights.
        activations: What is alive during a forward and backward pass.
        rest: The program, its libraries, the data, and what allocators hold.
    """

    weights: int
    gradients: int
    moments: int
    activations: int
    rest: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.gradients + self.moments + self.activations + self.rest


def memory(device: Device, model: Model, largest: Shape, precision: str) -> Memory:
    """Return the memory of a run on a device.

    Args:
        device: The kind.
        model: What is computed.
        largest: The largest micro-batch.
        precision: "fp32", "bf16" or "fp16".
    """
    half = precision != "fp32"
    activations = model.activations.of(largest) * (HALF if half else 1.0)
    copies = model.weights // 2 if half else 0  # weights in 16 bits, which autocast keeps for the backward pass
    return Memory(model.weights, model.gradients, model.moments, int(activations), CONTEXT + copies)


def seconds(
    device: Device, model: Model, steps: Sequence[Sequence[Shape]], precision: str, *, training: bool = True
) -> tuple[float, float]:
    """Return the least and the greatest estimate of the time of some steps.

    Args:
        device: The kind.
        model: What is computed.
        steps: The micro-batches of each step.
        precision: "fp32", "bf16" or "fp16".
        training: Whether gradients and weights are updated; else only the forward pass is counted.
    """
    half = precision != "fp32"
    share = 1.0 if training else FORWARD
    shapes = [shape for step in steps for shape in step]
    flops = share * sum(model.flops.of(shape) for shape in shapes) / (device.half if half else device.single)
    moved = share * sum(model.moved.of(shape) for shape in shapes) * (HALF if half else 1.0)
    update = len(steps) * UPDATE / 4 * model.gradients if training else 0.0
    moved = (moved + update) / device.bandwidth
    started = share * model.operations * len(shapes)
    return (
        max(flops / PEAK[0], moved / BANDWIDTH[0], started * LAUNCH[0]),
        max(flops / PEAK[1] + moved / BANDWIDTH[1], started * LAUNCH[1]),
    )
