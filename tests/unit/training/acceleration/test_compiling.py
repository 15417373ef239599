"""Compiled layers: the same numbers as plain ones, for batches of any shape, and a restored model."""

import shutil

import pytest
import torch

from tests.support.errors import refused
from tests.support.models import make
from toolkit.attention.implementations import packed
from toolkit.errors import RunError
from toolkit.training.acceleration import fast_dropout
from toolkit.training.acceleration.accelerate_model import accelerated
from toolkit.training.acceleration.compiling import compiled, suspended

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("c++") is None, reason="no C++ compiler for torch.compile"
)


def batch(sizes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    length = max(sizes)
    mask = torch.tensor([[1] * size + [0] * (length - size) for size in sizes])
    return {
        "input_ids": mask * (5 + torch.arange(length)),
        "attention_mask": mask,
        "labels": torch.zeros_like(mask[:, 0]),
    }


def gradients(model: torch.nn.Module, given: dict[str, torch.Tensor], packing: packed.Packing) -> list[torch.Tensor]:
    model.zero_grad(set_to_none=True)
    with packing.batch(given, "cpu"):
        model(**given).loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


@needs_compiler
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:The .grad attribute")
def test_compiled_layers_give_the_gradients_of_plain_ones() -> None:
    model = make("bert")[0]
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train()
    shapes = ((7, 5, 3), (4, 4), (9, 2, 2, 8))
    with accelerated(model, batch(shapes[0])) as quick:
        packing = quick.packing
        assert packing is not None
        plain = [gradients(model, batch(sizes), packing) for sizes in shapes]
        before = torch._dynamo.utils.counters["frames"]["ok"]
        with compiled(model, packing):
            results = [gradients(model, batch(sizes), packing) for sizes in shapes]
        assert torch._dynamo.utils.counters["frames"]["ok"] > before  # something was compiled
    for item, other in zip(plain, results, strict=True):
        torch.testing.assert_close(other, item, rtol=1e-4, atol=1e-6)


def test_the_model_is_given_back_and_the_last_layer_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda run, **_: lambda *a, **k: pytest.fail("compiled code ran"))
    model = make("bert")[0].train()
    layers = packed.repeated_layers(model)
    with accelerated(model, batch((7, 5, 3)), compiled=True) as quick:
        packing = quick.packing
        assert packing is not None
        assert ["forward" in vars(layer) for layer in layers] == [True] * (len(layers) - 1) + [False]
        with suspended():
            gradients(model, batch((4, 4)), packing)
        model.eval()
        gradients(model, batch((4, 4)), packing)  # validation runs layers as they are
    assert not any("forward" in vars(module) for module in model.modules())


def test_dropout_of_compiled_layers_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda run, **_: run)
    model = make("bert")[0].train()
    layer = packed.repeated_layers(model)[0]
    cheap = [m for m in layer.modules() if isinstance(m, torch.nn.Dropout) and m.p]
    assert cheap
    fast_dropout.cheapen(model)
    with compiled(model, None):
        assert not any("forward" in vars(module) for module in cheap)
    assert all("forward" in vars(module) for module in cheap)
    fast_dropout.restore(model)


def test_failed_compilation_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise torch._dynamo.exc.TorchRuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda run, **_: broken)
    model = make("bert")[0].train()
    with accelerated(model, batch((7, 5, 3)), compiled=True) as quick:
        packing = quick.packing
        assert packing is not None
        with refused(RunError, "model.cannot-compile", "training.compile=false"):
            gradients(model, batch((4, 4)), packing)
