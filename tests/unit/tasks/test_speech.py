"""The recipe of recordings: a model from scratch, baselines, and checkpoints of elsewhere."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.recordings import encoded, tone
from toolkit import checkpoints
from toolkit.checkpoints import configuration
from toolkit.config import RunConfig
from toolkit.config.settings import DataConfig, LoadingConfig
from toolkit.evaluation import baselines
from toolkit.tasks import loading


def config(path: Path, **options: int) -> RunConfig:
    recipe = loading.load("speech")
    given = recipe.options(**options).model_dump()
    scratch = LoadingConfig(from_scratch=True)
    return RunConfig(recipe="speech", model=str(path), data=DataConfig(source="-"), loading=scratch, options=given)


def test_a_model_from_scratch_has_the_wanted_size(tmp_path: Path):
    recipe = loading.load("speech")
    assert recipe.start is not None
    wanted = config(tmp_path, width=64, layers=2)
    recipe.start(pa.table({}), tmp_path, wanted)
    model = recipe.build_model(tmp_path, ["a", "b"], wanted)
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (64, 2)
    assert all(weight.requires_grad for weight in model.parameters())
    extractor = recipe.load_processor(tmp_path, wanted)
    batch = recipe.collate(
        [{"input_features": extractor(tone(300), sampling_rate=16_000, return_tensors="np")["input_features"][0]}],
        extractor,
    )
    assert model(**batch).logits.shape == (1, 2)


def test_the_baseline_hears_tones():
    rows = [
        {"audio": {"bytes": encoded(tone(f * (1 + n / 50), 0.3, n)), "path": None}, "label": label}
        for label, f in enumerate((200.0, 1200.0))
        for n in range(8)
    ]
    table = pa.Table.from_pylist(rows)
    assert baselines.log_mel_logistic_regression(table, table, ["low", "high"]) == table["label"].to_pylist()
    alone = table.filter(pa.compute.equal(table["label"], 1))
    assert baselines.log_mel_logistic_regression(alone, table, ["low", "high"]) == [1] * 16


@pytest.mark.parametrize(("name", "model_type"), [("Wav2Vec2", "wav2vec2"), ("WavLM", "wavlm")])
def test_a_checkpoint_of_elsewhere_is_recognised(tmp_path: Path, name: str, model_type: str):
    facts = {"architectures": [f"{name}ForSequenceClassification"], "model_type": model_type}
    found = checkpoints.Checkpoint("x", tmp_path, "x", None, None, facts)
    assert configuration.task_of(found) == "speech"
    texts = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    assert configuration.task_of(checkpoints.Checkpoint("x", tmp_path, "x", None, None, texts)) == "text"


def test_the_page_of_a_service_takes_recordings():
    from toolkit.report.pages.service import page
    from toolkit.serve.limits import Limits

    described = {"model": "m", "task": "speech", "labels": ["a", "b"], "calibrated": False, "explains": False}
    html = page(described, loading.load("speech").task.inputs, Limits(), {})
    assert 'accept="audio/*"' in html
    assert "media-src data:" in html
    assert "<audio" in html
