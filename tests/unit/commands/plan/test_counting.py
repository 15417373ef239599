"""What a computation needs, counted."""

import torch

from toolkit.commands.plan.counting import count


def test_a_product() -> None:
    left, right = torch.ones(8, 16), torch.ones(16, 4)
    work = count(lambda: left @ right)
    assert work.flops == 2 * 8 * 16 * 4
    assert work.moved == 4 * (8 * 16 + 16 * 4 + 8 * 4)
    assert (work.operations, work.peak) == (1, 4 * 8 * 4)


def test_freed_memory_is_not_alive() -> None:
    start = torch.ones(1000)

    def chain() -> None:
        value = start
        for _ in range(20):
            value = value + 1

    assert count(chain).peak == 2 * 4000  # the last value and the next one


def test_views_and_changes_in_place_need_no_memory() -> None:
    values = torch.ones(10, 10)
    assert count(lambda: values.view(100).t().unsqueeze(0)).operations == 0
    work = count(lambda: values.add_(1))
    assert (work.operations, work.peak) == (1, 0)


def test_values_kept_for_the_backward_pass_are_alive() -> None:
    layer = torch.nn.Linear(64, 64, bias=False)
    inputs = torch.ones(32, 64)

    def deep(times: int) -> None:
        value = inputs
        for _ in range(times):
            value = torch.tanh(layer(value))
        value.sum().backward()

    deep(1)  # gradients exist from here on
    few, many = (count(lambda times=times: deep(times)) for times in (2, 12))
    kept = 10 * 4 * 32 * 64  # the output of each tanh
    assert kept <= many.peak - few.peak <= kept + 2 * 4 * 32 * 64
    assert many.flops / few.flops == (3 * 12 - 1) / (3 * 2 - 1)  # no gradient of the inputs of the first layer
