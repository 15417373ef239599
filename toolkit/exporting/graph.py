"""A model's forward pass as a graph that needs no Python: ONNX, ONNX in 8 bits, OpenVINO, or torch.export.

transformers' own exporters do the tracing. Dynamic axes are declared one at a time: the batch, and of texts
and recordings the length. An axis that turns out to be fixed fails the export; it does not become a graph for a
single size.
"""

import contextlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import environment, runs
from toolkit.errors import ConfigError, ModelError
from toolkit.exporting.runtime import FILES

FORMS = ("onnx", "onnx-int8", "openvino", "safetensors", "torch-export")
NEEDS = {  # form → (extra that installs its packages, these)
    "onnx": ("onnx", ("onnx", "onnxscript", "onnxruntime")),
    "onnx-int8": ("onnx", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": ("openvino", ("onnx", "onnxscript", "openvino")),
}
MANIFEST = "export.json"  # transformers' own, to which the comparison with the model is added
_MODULES = {"openvino": "transformers.exporters.exporter_openvino"}  # that are not in all versions with exporters
QUANTIZATION_METHODS = ("static", "dynamic")  # ranges of 8-bit activations: calibrated beforehand, or per call
_LARGEST_FILE = 2 * 10**9  # bytes; ONNX is written as a protobuf message, which ends at 2 GiB
_QUANTIZED = ("MatMul", "Gemm")  # nearly all the work; other operations keep their precision


def check_installed(form: str) -> None:
    """Refuse to begin where what a form needs is not installed.

    Raises:
        ConfigError: A package is missing, or transformers is too old to export.
    """
    extra, packages = NEEDS.get(form, ("", ()))
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--to {form} needs {', '.join(missing)}.",
            f"pip install 'finetune-toolkit[{extra}]'",
            id="machine.package-missing",
        )
    if form != "safetensors" and not _has_exporter(form):
        raise ConfigError(
            f"--to {form} needs a newer version of transformers.",
            "pip install --upgrade transformers; --to safetensors works with every version.",
            id="machine.package-outdated",
        )


def _has_exporter(form: str) -> bool:
    """Whether the installed transformers exports to a form."""
    if importlib.util.find_spec("transformers.exporters") is None:
        return False
    return form not in _MODULES or importlib.util.find_spec(_MODULES[form]) is not None


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
        with (
            silent(),
            _patching_loaded_families(),
            _returning_dict(model) if form == "torch-export" else contextlib.nullcontext(),
        ):
            exported = exporter().export(
                model, dict(batch), config=config(dynamic=True, dynamic_shapes=_axes(batch, ragged))
            )
    except Exception as error:  # what cannot be traced raises errors of many kinds
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{type(model).__name__} cannot be exported as a graph: {reason}",
            "--to safetensors works for every model; --debug shows where tracing failed.",
            id="export.cannot-trace",
        ) from error
    if form == "onnx":
        _forget_origin(exported.program)
    return exported


def _forget_origin(program: Any) -> None:
    """Remove from an ONNX program where each operation comes from: stack traces with paths of this machine."""
    for graph in program.graphs():
        for node in graph:
            for part in (node, *node.outputs):
                part.metadata_props.clear()
                part.doc_string = None
    program.metadata_props.clear()
    program.graph.metadata_props.clear()


@contextlib.contextmanager
def _patching_loaded_families() -> Iterator[None]:
    """Within the block, let transformers patch only families that are imported.

    It would import some forty others to patch them, which takes seconds, and the model contains none of their classes.
    """
    from transformers.exporters import utils

    registered: dict[str, list[tuple[str, ...]]] = getattr(utils, "_PATCHES", {})
    every = dict(registered)
    for backend, patches in every.items():
        registered[backend] = [patch for patch in patches if _is_loaded(patch[0])]
    try:
        yield
    finally:
        registered.update(every)


def _is_loaded(owner: str) -> bool:
    """Whether the owner of a patched attribute is imported, if it belongs to a family of models."""
    module = ".".join(owner.split(".")[:4])  # transformers.models.FAMILY.MODULE
    return not module.startswith("transformers.models.") or module in sys.modules


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
    """Return an ONNX program whose matrix products are done in 8 bits, and whose embeddings are stored in 8.

    Weights of products keep 7 bits, since on processors without VNNI the sum of two products of 8 bits would overflow,
    and the same file would give other predictions there.

    Args:
        program: An `onnx_ir.Model`.
        method: One of `QUANTIZATION_METHODS`.
        batches: Real inputs, which set the ranges of activations where they are static.

    Raises:
        ModelError: ONNX Runtime cannot quantize it.
    """
    environment.send_no_telemetry(os.environ)
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
            return _small_embeddings(quantizer.quantize(program, dict(batches[0]), ExportFormat.ONNX))
    except Exception as error:  # ONNX Runtime's tools may raise anything
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"ONNX Runtime cannot quantize this graph ({method}): {reason}",
            "Use --to onnx.",
            id="export.cannot-quantize",
        ) from error


def _small_embeddings(program: Any) -> Any:
    """Store each table of embeddings as 8-bit integers with a scale for each row, and return the same program.

    The looked-up rows alone are scaled, which takes less time than to scale a table, and is more exact than one scale
    for all rows.
    """
    import onnx_ir

    graph = program.graph
    for table in [value for value in graph.initializers.values() if _is_table(value)]:
        values = table.const_value.numpy()  # (rows, width)
        scales = np.maximum(np.abs(values).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / 127
        contents = {"int8": np.round(values / scales).astype(np.int8), "scale": scales.astype(np.float32)}
        parts = [
            onnx_ir.Value(name=f"{table.name}_{name}", const_value=onnx_ir.tensor(content))
            for name, content in contents.items()
        ]
        for part in parts:
            graph.initializers.add(part)
        for node, _ in list(table.uses()):
            numbers, scale = (onnx_ir.node("Gather", [part, node.inputs[1]], {"axis": 0}) for part in parts)
            floats = onnx_ir.node("Cast", [numbers.outputs[0]], {"to": onnx_ir.DataType.FLOAT})
            scaled = onnx_ir.node("Mul", [floats.outputs[0], scale.outputs[0]])
            graph.insert_before(node, [numbers, scale, floats, scaled])
            node.outputs[0].replace_all_uses_with(scaled.outputs[0])
            graph.remove(node, safe=True)
        del graph.initializers[table.name]
    return program


def _is_table(value: Any) -> bool:
    """Whether a constant is a matrix of floats of which only rows are looked up."""
    content, uses = value.const_value, list(value.uses())
    looked_up = [
        use.node.op_type == "Gather" and use.idx == 0 and not use.node.attributes.get_int("axis", 0) for use in uses
    ]
    return bool(uses) and all(looked_up) and len(content.shape) == 2 and content.dtype.name == "FLOAT"


@contextlib.contextmanager
def _in_openvino(exported: Any) -> Iterator[None]:
    """Within the block, let an `ExportedModel` of ONNX hold OpenVINO's form of its graph.

    OpenVINO reads the ONNX graph, which starts no telemetry, unlike its converter in Python.

    Raises:
        ModelError: OpenVINO has no form of an operation.
    """
    import onnx_ir
    import openvino
    from transformers.exporters.configs import ExportFormat

    before = exported.program, exported.export_format
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx_ir.save(exported.program, str(file), external_data="weights")
        try:
            program = openvino.Core().read_model(str(file))  # its weights are read when it is saved
        except Exception as error:  # OpenVINO's own class is not stable
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"OpenVINO cannot represent this model: {reason}", "Use --to onnx.", id="export.cannot-convert"
            ) from error
        replaced(exported, program).export_format = ExportFormat.OPENVINO
        yield
    replaced(exported, before[0]).export_format = before[1]


def replaced(exported: Any, program: Any) -> Any:
    """Put another program into an `ExportedModel`, and return it."""
    (component,) = exported.components.values()
    component.program = program
    return exported


def save(exported: Any, folder: Path, form: str) -> None:
    """Write the graph, the model's configuration and transformers' manifest to `folder`.

    An ONNX graph and its weights are one file where that is possible, since browsers load a single file. Weights of a
    larger one are in a second file, under the name that transformers.js looks for.

    Args:
        exported: Of `trace`; for OpenVINO of its ONNX graph.
        folder: Where to.
        form: One of `runtime.FILES`.

    Raises:
        ModelError: OpenVINO cannot represent the graph.
    """
    with silent(), _in_openvino(exported) if form == "openvino" else contextlib.nullcontext():
        exported.save_pretrained(folder)
        manifest = runs.read_object(folder / MANIFEST)
        (entry,) = manifest["components"].values()
        place = folder / FILES[form]
        place.parent.mkdir(exist_ok=True)
        written = sorted(folder.glob(f"{Path(entry['file']).stem}.*"))
        if form.startswith("onnx"):
            _save_onnx(exported.program, place, single=sum(file.stat().st_size for file in written) < _LARGEST_FILE)
            for file in written:
                file.unlink()
        else:
            for file in written:
                file.rename(place.with_suffix(file.suffix))
    entry["file"] = FILES[form]
    runs.write_json(folder / MANIFEST, manifest)


def _save_onnx(program: Any, place: Path, *, single: bool) -> None:
    """Write an ONNX program as a single file, or with its weights in a second one."""
    import onnx_ir

    onnx_ir.save(program, str(place), external_data=None if single else f"{place.name}_data")
    place.with_name(f"{place.name}.data").touch()  # transformers' own loader needs it


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
