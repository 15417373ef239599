"""Estimates for kinds of device from their published peaks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.commands.plan.devices import DEVICES, Device, Model, memory, seconds
from toolkit.commands.plan.shapes import Cost, Shape

SMALL = Model(400, 400, 800, Cost(token=6e8), Cost(token=1e6), Cost(fixed=1e6, token=1e5), 500)
STEPS = [[Shape(32, 4096, 524_288)]] * 10


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_published_figures_are_plausible(device: Device) -> None:
    assert device.half >= device.single
    assert 10 <= device.memory_gb <= 300
    assert 1e11 < device.bandwidth < 1e13
    assert 50 <= device.watts <= 1500
    assert device.source


def test_precision_is_what_the_toolkit_chooses_there() -> None:
    without = next(device for device in DEVICES if not device.bf16)
    assert (without.precision("auto"), without.precision("bf16")) == ("fp32", "fp16")
    assert all(device.precision("auto") == "bf16" for device in DEVICES if device.bf16)
    assert all(device.precision("fp32") == "fp32" for device in DEVICES)


@given(st.sampled_from(DEVICES), st.sampled_from(["fp32", "fp16"]), st.floats(1.0, 100.0))
def test_faster_devices_take_no_longer(device: Device, precision: str, factor: float) -> None:
    low, high = seconds(device, SMALL, STEPS, precision)
    assert 0 < low <= high
    faster = replace(
        device, bandwidth=device.bandwidth * factor, single=device.single * factor, half=device.half * factor
    )
    assert all(new <= old for new, old in zip(seconds(faster, SMALL, STEPS, precision), (low, high), strict=True))


def test_no_estimate_is_below_the_published_peak() -> None:
    for device in DEVICES:
        low, _ = seconds(device, SMALL, STEPS, "fp32")
        assert low >= sum(SMALL.flops.of(shape) for step in STEPS for shape in step) / device.single
        assert seconds(device, SMALL, STEPS, "fp32", training=False)[0] <= low


def test_memory_by_component() -> None:
    device, shape = DEVICES[0], Shape(32, 4096, 524_288)
    single, half = (memory(device, SMALL, shape, precision) for precision in ("fp32", "fp16"))
    assert single.total == single.weights + single.gradients + single.moments + single.activations + single.rest
    assert single.activations == SMALL.activations.of(shape)
    assert half.activations < single.activations
    assert half.rest > single.rest  # 16-bit copies of the weights
