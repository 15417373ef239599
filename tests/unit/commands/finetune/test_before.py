"""The baseline before fine-tuning: predictions of the checkpoint, where it has a trained head."""

import json
import shutil
from types import SimpleNamespace

import pyarrow as pa
import pytest

from recipes import transcribe
from tests.support import recordings
from toolkit.commands.finetune import run
from toolkit.config import resolve
from toolkit.data.audio import columns, ctc
from toolkit.errors import ModelError
from toolkit.events import Note
from toolkit.tasks import loading


@pytest.fixture
def prepared(tmp_path):
    """A checkpoint that is called one that writes characters, without weights of a head; and one recording."""
    folder = recordings.checkpoints(tmp_path / "families")["wav2vec2"]
    shutil.copytree(folder, tmp_path / "headless")
    config = tmp_path / "headless" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "architectures": ["Wav2Vec2ForCTC"]}))
    ctc.write_vocabulary(["a"], tmp_path / "headless")
    options = transcribe.Options().model_dump()
    resolved = resolve([("test", {"recipe": "transcribe", "training": {"device": "cpu"}, "options": options})])
    row = {"bytes": recordings.encoded(recordings.tone(300.0)), "path": "a.wav"}
    values = {**dict.fromkeys(field.name for field in columns.TYPE), **row}
    test = pa.table({"audio": pa.array([values], columns.TYPE), "transcript": ["a"]})
    return SimpleNamespace(
        recipe=loading.load("transcribe").for_checkpoint(tmp_path / "headless"),
        config=resolved.config,
        completed=False,
        checkpoint=SimpleNamespace(path=tmp_path / "headless"),
        teacher=None,
        splits=SimpleNamespace(test=test, labels=()),
    )


def test_a_checkpoint_without_a_trained_head_is_no_baseline(prepared):
    events = []
    assert ctc.is_trained(prepared.checkpoint.path)
    assert run._before(prepared, events.append) == {}
    assert any(isinstance(event, Note) for event in events)


def test_other_errors_of_a_checkpoint_end_the_run(prepared):
    (prepared.checkpoint.path / "model.safetensors").unlink()
    with pytest.raises(ModelError):
        run._before(prepared, lambda _event: None)
