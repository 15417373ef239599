"""Recordings become what each family's own feature extractor makes of them, and padding changes no prediction."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from tests.support import recordings
from tests.support.errors import refused
from tests.support.recordings import RATE, encoded, tone
from toolkit.attention.implementations.packed import unpadded
from toolkit.config import RunConfig
from toolkit.config.settings import DataConfig, LoadingConfig
from toolkit.data.audio import feature_extraction
from toolkit.data.batching.batch import Ragged, encode, probe
from toolkit.errors import DataError
from toolkit.tasks import loading
from toolkit.tasks.contract import Rows

MASKED = ("wav2vec2", "wav2vec2-bert")
ONE_LENGTH = ("ast", "whisper")
SECONDS = (0.2, 0.35, 0.5, 0.8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return recordings.checkpoints(tmp_path_factory.mktemp("families"))


def rows() -> list[dict[str, Any]]:
    return [{"bytes": encoded(tone(300 + 100 * n, s, n)), "path": None} for n, s in enumerate(SECONDS)]


def loaded(path: Path) -> tuple[Any, Any, Any, Any]:
    """Return recipe, feature extractor, features and model."""
    recipe = loading.load("speech")
    config = RunConfig(recipe="speech", model=str(path), data=DataConfig(source="-"))
    extractor = recipe.load_processor(path, config)
    table = pa.table({"audio": rows(), "label": [0, 1, 0, 1]})
    features = encode(table, lambda chunk: recipe.features(Rows(chunk), extractor, config))
    return recipe, extractor, features, recipe.build_model(path, ["a", "b", "c"], config).eval()


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wav2vec2-bert", "ast", "whisper"])
def test_features_are_those_of_the_familys_extractor(saved: dict[str, Path], family: str):
    extractor = feature_extraction.load(saved[family], LoadingConfig())
    made = feature_extraction.prepared(rows(), extractor, DataConfig())
    name = extractor.model_input_names[0]
    assert isinstance(made[name], Ragged) != (family in ONE_LENGTH)
    for row, value in enumerate(rows()):
        samples, _ = soundfile.read(io.BytesIO(value["bytes"]), dtype="float32")
        theirs = extractor(samples, sampling_rate=RATE, return_tensors="np")[name][0]
        np.testing.assert_allclose(made[name][row], theirs, atol=1e-6)


@pytest.mark.parametrize("family", ["wav2vec2", "wav2vec2-bert", "ast", "whisper"])
def test_padding_changes_no_prediction(saved: dict[str, Path], family: str):
    import torch

    recipe, extractor, features, model = loaded(saved[family])
    batch = recipe.collate([features[row] for row in range(len(features))], extractor)
    assert ("attention_mask" in batch) == (family in MASKED)
    with torch.no_grad():
        together = model(**batch).logits
        alone = torch.cat([model(**recipe.collate([features[row]], extractor)).logits for row in range(len(features))])
        assert (together - alone).abs().max() < 1e-5 * max(1.0, float(together.abs().max()))
        with unpadded(model, probe(features, partial(recipe.collate, processor=extractor))) as packing:
            assert packing is None  # convolutions over time mix neighbours, so recordings are never joined
            assert torch.equal(model(**batch).logits, together)


def test_models_without_mask_get_none(saved: dict[str, Path]):
    recipe, extractor, features, _ = loaded(saved["hubert"])
    batch = recipe.collate([features[row] for row in range(len(features))], extractor)
    assert set(batch) == {"input_values", "labels"}
    assert float(batch["input_values"][0, round(SECONDS[0] * RATE) :].abs().max()) == 0


def test_a_random_draw_of_the_model_itself_is_off(saved: dict[str, Path]):
    *_, model = loaded(saved["wav2vec2"])
    assert model.config.apply_spec_augment is False
    assert model.config.layerdrop == 0
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert frozen
    assert all("feature_extractor" in name for name in frozen)


def test_longer_recordings_than_the_model_reads_are_counted(saved: dict[str, Path]):
    extractor = feature_extraction.load(saved["ast"], LoadingConfig())
    made = feature_extraction.prepared(rows(), extractor, DataConfig())
    assert made["truncated"] == [False, False, False, True]  # 64 frames of 10 ms


def test_a_very_short_recording_is_padded(saved: dict[str, Path]):
    extractor = feature_extraction.load(saved["wav2vec2"], LoadingConfig())
    made = feature_extraction.prepared([{"bytes": encoded(tone(300, 0.002))}], extractor, DataConfig())
    assert made["input_values"].lengths.tolist() == [round(0.1 * RATE)]


def test_a_file_that_changed_is_refused(saved: dict[str, Path], tmp_path: Path):
    extractor = feature_extraction.load(saved["wav2vec2"], LoadingConfig())
    with refused(DataError, "media.changed", "gone.wav"):
        feature_extraction.prepared([{"path": str(tmp_path / "gone.wav")}], extractor, DataConfig())


@pytest.mark.parametrize(("norm", "mask"), [("layer", True), ("group", False)])
def test_without_a_saved_extractor_the_mask_follows_the_norm(tmp_path: Path, norm: str, mask: bool):
    (tmp_path / "config.json").write_text(f'{{"feat_extract_norm": "{norm}"}}', encoding="utf-8")
    assert feature_extraction.load(tmp_path, LoadingConfig()).return_attention_mask is mask
