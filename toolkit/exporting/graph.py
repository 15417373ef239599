"""A model's forward pass as a graph that needs no Python: ONNX, ONNX in 8 bits, or torch.export.

transformers' own exporters do the tracing. Dynamic axes are declared one at a time: the batch, and of texts
and recordings the length. An axis that turns out to be fixed fails the export; it does not become a graph for a
single size.
"""

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError, ModelError
from toolkit.exporting.runtime import ONNX

FORMS = ("onnx", "onnx-int8", "safetensors", "torch-export")
NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "onnx-int8": ("onnx", "onnxscript", "onnxruntime")}
QUANTIZATION_METHODS = ("static", "dynamic")  # ranges of 8-bit activations: calibrated beforehand, or per call
_LARGEST_FILE = 2 * 10**9  # bytes; ONNX is written as a protobuf message, which ends at 2 GiB
_QUANTIZED = ("MatMul", "Gemm")  # nearly all the work; other operations keep their precision


def check_installed(form: str) -> None:
    """Refuse to begin where what a form needs is not installed.

    Raises:
        ConfigError: A package is missing, or transformers is too old to export.
    """
    missing = [name for name in NEEDS.get(form, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--to {form} needs {', '.join(missing)}.",
            "pip install 'finetune-toolkit[onnx]'",
            id="machine.package-missing",
        )
    if form != "safetensors" and importlib.util.find_spec("transformers.exporters") is None:
        raise ConfigError(
            f"--to {form} needs a newer version of transformers.",
            "pip install --upgrade transformers; --to safetensors works with every version.",
            id="machine.package-outdated",
        )


def trace(model: Any, batch: Mapping[str, Any], form: str, ragged: Container[str] = ()) -> Any:
    """Export a model's forward pass with transformers' own exporter.

    Args:
        model: In evaluation mode, on the CPU.
        batch: Name → tensor of what it is called with, two examples or more: integers (B, T), numbers (B, …).
        form: "onnx" or "torch-export".
        ragged: Names of inputs whose length varies, such as recordings, (B, T, …).

    Returns:
        transformers' `ExportedModel`.

    Raises:
        ModelError: The family, or its attention, cannot be exported.
    """
    from transformers.exporters import DynamoConfig, DynamoExporter, OnnxConfig, OnnxExporter

    exporter, config = (OnnxExporter, OnnxConfig) if form == "onnx" else (DynamoExporter, DynamoConfig)
    try:
        # the file of torch.export names the class of what it returns, and loads where that class is known
        with silent(), _returning_dict(model) if form == "torch-export" else contextlib.nullcontext():
            return exporter().export(
                model, dict(batch), config=config(dynamic=True, dynamic_shapes=_axes(batch, ragged))
            )
    except Exception as error:  # what cannot be traced raises errors of many kinds
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{type(model).__name__} cannot be exported as a graph: {reason}",
            "--to safetensors works for every model; --debug shows where tracing failed.",
            id="export.cannot-trace",
        ) from error


@contextlib.contextmanager
def _returning_dict(model: Any) -> Iterator[None]:
    """Within the block, let a model return a plain dict of tensors, not a class of transformers."""
    forward, own = model.forward, vars(model).get("forward")
    model.forward = lambda **inputs: dict(forward(**inputs))
    try:
        yield
    finally:
        del model.forward
        if own is not None:
            model.forward = own


def _axes(batch: Mapping[str, Any], ragged: Container[str] = ()) -> dict[str, dict[int, Any]]:
    """Return the dynamic axes: the batch, and of integers (B, T) and ragged inputs also the length."""
    from torch.export import Dim

    return {
        name: {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
        if name in ragged or (values.ndim == 2 and not values.is_floating_point())
        else {0: Dim.DYNAMIC}
        for name, values in batch.items()
    }


def quantized(program: Any, method: str, batches: Sequence[Mapping[str, Any]]) -> Any:
    """Return an ONNX program whose matrix products are done in 8 bits.

    Weights keep 7 of them, since on processors without VNNI the sum of two products of 8 bits would overflow, and the
    same file would give other predictions there.

    Args:
        program: An `onnx_ir.Model`.
        method: One of `QUANTIZATION_METHODS`.
        batches: Real inputs, which set the ranges of activations where they are static.

    Raises:
        ModelError: ONNX Runtime cannot quantize it.
    """
    from onnxruntime.quantization import QuantType
    from transformers.exporters import OnnxRuntimeDynamicConfig, OnnxRuntimeQuantizer, OnnxRuntimeStaticConfig
    from transformers.exporters.configs import ExportFormat

    shared: dict[str, Any] = {
        "op_types_to_quantize": list(_QUANTIZED),
        "per_channel": True,
        "reduce_range": True,
    }
    static: dict[str, Any] = {  # processors are fast with unsigned activations
        "activation_type": QuantType.QUInt8,
        "extra_options": {"MatMulConstBOnly": True, "CalibMovingAverage": True},  # values keep their precision
    }
    config = OnnxRuntimeStaticConfig(**shared, **static) if method == "static" else OnnxRuntimeDynamicConfig(**shared)
    quantizer = OnnxRuntimeQuantizer(config, calibration_dataset=[dict(batch) for batch in batches])
    try:
        with silent():
            return quantizer.quantize(program, dict(batches[0]), ExportFormat.ONNX)
    except Exception as error:  # ONNX Runtime's tools may raise anything
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"ONNX Runtime cannot quantize this graph ({method}): {reason}",
            "Use --to onnx.",
            id="export.cannot-quantize",
        ) from error


def replaced(exported: Any, program: Any) -> Any:
    """Put another program into an `ExportedModel`, and return it."""
    (component,) = exported.components.values()
    component.program = program
    return exported


def save(exported: Any, folder: Path) -> None:
    """Write the graph, the model's configuration and transformers' manifest to `folder`.

    An ONNX graph and its weights are one file where that is possible, since browsers load a single file.
    """
    with silent():
        exported.save_pretrained(folder)
        file, weights = folder / ONNX, folder / f"{ONNX}.data"
        if weights.is_file() and file.stat().st_size + weights.stat().st_size < _LARGEST_FILE:
            import onnx_ir

            (component,) = exported.components.values()
            onnx_ir.save(component.program, str(file))
            weights.unlink()
            weights.touch()  # transformers' own loader needs it


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Silence the exporters' internal reports."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
