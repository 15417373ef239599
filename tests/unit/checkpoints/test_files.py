"""Folders are checked, downloads chosen, and stand-ins found where the Hub cannot be reached."""

import os
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.support.checkpoints import TINY
from tests.support.errors import refused
from toolkit import sources
from toolkit.checkpoints import files as checkpoint_files
from toolkit.errors import CallError, SourceError


def checkpoint(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).write_text("{}", encoding="utf-8")
    return folder


def fault(identifier: str, name: str, **options) -> str:
    with refused(CallError, identifier) as caught:
        checkpoint_files.locate_model([name], **options)
    return f"{caught.value.problem} {caught.value.fix}"


@pytest.mark.parametrize(
    "weights",
    [
        "model.safetensors",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
    ],
)
def test_a_checkpoint_folder_is_taken(tmp_path, weights):
    folder = checkpoint(tmp_path / "model", "config.json", weights)
    assert checkpoint_files.locate_model([str(folder)]) == checkpoint_files.Located(folder, str(folder))


@pytest.mark.parametrize(
    "weights", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model.pt", "weights.ckpt", "x.pkl"]
)
def test_pickled_weights_are_refused_unless_allowed(tmp_path, weights):
    folder = checkpoint(tmp_path / "model", "config.json", weights)
    said = fault("model.unsafe-weights", str(folder))
    assert f"pickled code ({weights})" in said
    assert "loading.allow_pickle=true" in said
    assert checkpoint_files.locate_model([str(folder)], allow_pickle=True).path == folder


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "extra"])
def test_checkpoints_with_pipes_are_refused(name, tmp_path):
    checkpoint(tmp_path / "model", "config.json", "model.safetensors")
    (tmp_path / "model" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "model" / name)
    assert f"{name} is a pipe" in fault("run.special-file", str(tmp_path / "model"))


def test_safetensors_beside_pickled_weights_are_enough(tmp_path):
    folder = checkpoint(tmp_path / "model", "config.json", "pytorch_model.bin", "model.safetensors")
    assert checkpoint_files.locate_model([str(folder)]).path == folder


@pytest.mark.parametrize(
    ("files", "identifier"),
    [
        ((), "model.not-a-model"),
        (("model.safetensors",), "model.not-a-model"),
        (("config.json",), "model.no-weights"),
        (("config.json", "training_args.bin"), "model.no-weights"),
        (("config.json", "tf_model.h5"), "model.no-weights"),
        (("config.json", "model.onnx", "export.json"), "model.is-export"),
    ],
)
def test_folders_that_are_no_checkpoints(tmp_path, files, identifier):
    assert "model" in fault(identifier, str(checkpoint(tmp_path / "model", *files)))


def test_paths_that_are_no_folders(tmp_path):
    assert "does not exist" in fault("source.file-missing", f"{tmp_path}/absent/")
    (tmp_path / "reviews.csv").touch()
    assert "is not a model" in fault("model.not-a-model", str(tmp_path / "reviews.csv"))


def test_only_what_is_needed_is_downloaded():
    files = [
        *(
            "config.json",
            "tokenizer.json",
            "vocab.txt",
            "README.md",
            "modeling_own.py",
            "onnx/model.onnx",
            "tf_model.h5",
        ),
        *("model.safetensors", "pytorch_model.bin", "1_Pooling/config.json"),
    ]
    kept = ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "README.md"]
    assert checkpoint_files._wanted(files, remote_code=False) == kept
    assert checkpoint_files._wanted(files, remote_code=True) == [*kept, "modeling_own.py"]
    files.remove("model.safetensors")
    assert checkpoint_files._wanted(files, remote_code=False)[0] == "pytorch_model.bin"


def test_without_a_network_the_stand_in_is_used_and_said(no_hub, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "_cached", lambda *_: None)
    located = checkpoint_files.locate_model(["org/base", "pkg://no_such_package/x", TINY])
    assert located.path == sources.package_path(TINY.removeprefix("pkg://"))
    assert located.origin == TINY
    assert "there is no network" in located.note
    assert "org/base" in located.note


def test_without_a_network_the_cached_copy_comes_first(no_hub, tmp_path, monkeypatch):
    cached = checkpoint(tmp_path / "0123abc", "config.json", "model.safetensors")
    monkeypatch.setattr(checkpoint_files, "_cached", lambda *_: cached)
    located = checkpoint_files.locate_model(["org/base", TINY])
    assert (located.path, located.revision) == (cached, "0123abc")
    assert "cached copy" in located.note


def test_without_a_network_or_a_stand_in(no_hub, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "_cached", lambda *_: None)
    with pytest.raises(SourceError) as caught:
        checkpoint_files.locate_model(["org/base"])
    assert caught.value.id == "hub.unreachable"  # its fix is for `lookup`, which knows what is at hand
    assert "org/base is not on this machine and there is no network" in caught.value.problem


def test_a_local_folder_needs_no_hub(tmp_path, monkeypatch, no_sockets):
    monkeypatch.setattr(sources, "hub_problem", lambda: pytest.fail("the Hub was asked"))
    folder = checkpoint(tmp_path / "model", "config.json", "model.safetensors")
    assert checkpoint_files.locate_model([str(folder), "pkg://no_such_package/x"]).path == folder


def test_ids_that_the_hub_refuses_are_refused_before_it_is_asked(monkeypatch, no_sockets):
    monkeypatch.setattr(sources, "hub_problem", lambda: None)
    for name in ("org/a--b", "org/name.git", "org/a..b"):
        assert "is not the name of a model on the Hub" in fault("hub.invalid-name", name)


def test_no_cache_is_an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "absent"))
    assert checkpoint_files.cached_models() == []
    assert list(tmp_path.iterdir()) == []
