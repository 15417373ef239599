"""Every family that an alias names is fetched, trained, exported and read by transformers' own pipeline."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support import vision
from tests.support.hub import LocalHub
from toolkit.model_names import ALIASES

ROOT = Path(__file__).parents[2]


def test_every_family_is_trained_and_exported(tmp_path: Path) -> None:
    saved = vision.save(tmp_path / "checkpoints")
    with LocalHub() as hub:
        for name, folder in saved.items():
            hub.add(ALIASES[name].hub, folder)
        hub.add("someone/pictures", vision.data_set(tmp_path / "data"), kind="dataset")
        ended = subprocess.run(
            [sys.executable, "-m", "tests.support.vision", "someone/pictures"],
            cwd=tmp_path,
            env={**os.environ, **hub.environment(tmp_path / "hf"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not hub.seen("CONNECT")
    assert ended.returncode == 0, ended.stderr
    results = {item.pop("name"): item for item in map(json.loads, ended.stdout.splitlines())}
    assert list(results) == ["vit", "deit", "dinov2", "swin", "mobilevit", "cvt"]
    for name, item in results.items():
        assert item["rows"] == 12, name
        assert item["revision"], name
        assert item["off"] < 1e-5, name
        assert item["larger"] == [64, 64, 2, 2], name
