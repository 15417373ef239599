"""Arguments of the exporters, and the message when they are missing."""

import importlib.util
import logging
import warnings

import pytest
import torch
from torch.export import Dim

from tests.support.errors import refused
from toolkit.errors import ConfigError
from toolkit.exporting import graph


def test_batch_and_length_of_texts_are_free_and_of_pictures_the_batch():
    texts = {"input_ids": torch.ones(2, 5, dtype=torch.int64)}
    assert graph._axes(texts) == {"input_ids": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}}
    assert graph._axes({"pixel_values": torch.zeros(2, 3, 8, 8)}) == {"pixel_values": {0: Dim.DYNAMIC}}
    frames = {"input_features": torch.zeros(2, 9, 8)}
    assert graph._axes(frames, ["input_features"]) == {"input_features": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}}


@pytest.mark.parametrize("form", ["onnx", "onnx-int8"])
def test_a_missing_package_is_named_with_what_installs_it(form, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    with refused(ConfigError, "machine.package-missing", "onnxruntime", "pip install 'finetune-toolkit[onnx]'"):
        graph.check_installed(form)
    graph.check_installed("safetensors")
    graph.check_installed("torch-export")


@pytest.mark.parametrize("missing", ["openvino", "onnxscript"])
def test_openvino_has_an_extra_of_its_own(missing, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with refused(ConfigError, "machine.package-missing", missing, "pip install 'finetune-toolkit[openvino]'"):
        graph.check_installed("openvino")


def test_an_old_transformers_is_said_to_be_old(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "transformers.exporters" else find(n))
    with refused(ConfigError, "machine.package-outdated", "--upgrade transformers"):
        graph.check_installed("torch-export")
    graph.check_installed("safetensors")


def test_exporters_are_silent_and_the_rest_speaks_again(capsys, caplog):
    with graph.silent():
        print("inner life")
        logging.getLogger("torch.onnx").warning("inner life")
        warnings.warn("inner life", FutureWarning, stacklevel=1)
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []
    logging.getLogger("torch.onnx").warning("outer life")
    assert [record.message for record in caplog.records] == ["outer life"]


def test_families_that_are_not_imported_are_not_patched(monkeypatch):
    import transformers.models.bert.modeling_bert  # noqa: F401
    from transformers.exporters import DynamoExporter, utils  # noqa: F401 - which registers its patches

    assert any(owner.startswith("transformers.models.") for owner, *_ in utils._PATCHES["dynamo"])
    patches = [
        ("torch", "where", None),
        ("transformers.modeling_utils", "is_kernels_available", None),
        ("transformers.models.bert.modeling_bert.BertModel", "forward", None),
        ("transformers.models.nothing.modeling_nothing.NothingModel", "forward", None),
    ]
    registered = {"dynamo": patches}
    monkeypatch.setattr(utils, "_PATCHES", registered)
    with graph._patching_loaded_families():
        assert registered == {"dynamo": patches[:3]}
    assert registered == {"dynamo": patches}
