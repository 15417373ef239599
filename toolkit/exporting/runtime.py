"""Exported graphs, loaded from their files and called like the model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit import environment
from toolkit.data.images.pixels import normalised

# Where the graph of each form is in its folder: transformers.js and Optimum look for these names.
FILES = {
    "onnx": "onnx/model.onnx",
    "onnx-int8": "onnx/model_quantized.onnx",
    "openvino": "openvino/openvino_model.xml",
    "torch-export": "model.pt2",
}


class Outputs(dict[str, Any]):
    """What a graph returns: name → tensor, also as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Graph:
    """A graph that can be called as the model was: with tensors by name, on the CPU; it returns tensors by name.

    Pictures may be bytes: they are normalised before the graph, which takes what an image processor returns.
    """

    def __init__(self, folder: Path, form: str, processor: Any = None, **options: Any) -> None:
        """Load a graph.

        Args:
            folder: Of the export.
            form: One of `FILES`.
            processor: Of the model, if it has one for pictures.
            options: Properties of OpenVINO, such as `INFERENCE_PRECISION_HINT`.
        """
        import torch

        self.device = torch.device("cpu")
        self.processor = processor
        self._run = _LOADERS[form](folder / FILES[form], **options)

    def __call__(self, **batch: Any) -> Outputs:
        """Run the graph on a batch; labels among the inputs, and which logits are needed, are ignored."""
        import torch

        inputs = {name: values for name, values in batch.items() if name not in ("labels", "logits_to_keep")}
        pixels = inputs.get("pixel_values")
        if pixels is not None and pixels.dtype == torch.uint8:
            inputs["pixel_values"] = normalised(pixels, self.processor)
        return Outputs(self._run(inputs))


def _onnx(file: Path) -> Any:
    environment.send_no_telemetry(os.environ)
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as many as the original model, for comparable times
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    returned = [item.name for item in session.get_outputs()]

    def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
        outputs = session.run(returned, {name: inputs[name].numpy() for name in names})
        return {name: torch.from_numpy(values) for name, values in zip(returned, outputs, strict=True)}

    return run


def _torch(file: Path) -> Any:
    import torch

    module = torch.export.load(str(file)).module()

    def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(module(**inputs))

    return run


def _openvino(file: Path, **options: Any) -> Any:
    import openvino
    import torch

    # without a precision OpenVINO computes in bf16 where the processor can
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32", **options}
    compiled = openvino.Core().compile_model(str(file), "CPU", settings)
    request = compiled.create_infer_request()
    names = [port.get_any_name() for port in compiled.inputs]
    returned = [port.get_any_name() for port in compiled.outputs]

    def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
        outputs = request.infer({name: inputs[name].numpy() for name in names}, share_inputs=True)
        return {name: torch.from_numpy(outputs[port]) for name, port in zip(returned, compiled.outputs, strict=True)}

    return run


def has_fast_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


_LOADERS = {"onnx": _onnx, "onnx-int8": _onnx, "openvino": _openvino, "torch-export": _torch}
