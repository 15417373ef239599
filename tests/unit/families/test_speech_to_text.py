"""Models that write what is said token by token: prompts, labels, languages and generation settings."""

import json

import numpy as np
import pytest
import torch

from recipes import transcribe
from tests.support import recordings
from tests.support.errors import refused
from toolkit.config import resolve
from toolkit.errors import ConfigError
from toolkit.families import speech_to_text


def config(**options):
    filled = transcribe.Options(**options).model_dump()
    return resolve([("test", {"recipe": "transcribe", "model": "some/whisper", "options": filled})]).config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return recordings.whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    return recordings.whisper(tmp_path_factory.mktemp("english"), multilingual=False)


def test_labels_are_prompt_text_and_end(folder):
    processor = speech_to_text.load_processor(folder, config(language="de"))
    known = processor.tokenizer.convert_tokens_to_ids
    assert processor.prompt == [known("<|de|>"), known("<|transcribe|>"), known("<|notimestamps|>")]
    (row,), (cut,) = processor.labels(["ab  b"], 256)
    assert row == processor.tokenizer(" ab b")["input_ids"][1:]
    assert not cut


def test_labels_fit_into_the_decoder(folder):
    processor = speech_to_text.load_processor(folder, config(language="en"))
    (row,), (cut,) = processor.labels(["a" * 100], 256)
    assert len(row) == processor.positions - 1 == 23
    assert row[-1] == processor.tokenizer.eos_token_id
    assert cut
    assert len(processor.labels(["a" * 100], 8)[0][0]) == 8 + len(processor.prompt)


def test_a_model_of_one_language_has_a_short_prompt(english):
    processor = speech_to_text.load_processor(english, config())
    assert processor.tokenizer.convert_ids_to_tokens(processor.prompt) == ["<|notimestamps|>"]


@pytest.mark.parametrize("name", ["de", "DE", "German", "<|de|>"])
def test_a_language_has_several_names(folder, name):
    processor = speech_to_text.load_processor(folder, config(language=name, task="translate"))
    tokens = processor.tokenizer.convert_ids_to_tokens(processor.prompt)
    assert tokens == ["<|de|>", "<|translate|>", "<|notimestamps|>"]


@pytest.mark.parametrize(("language", "identifier"), [("fr", "config.unknown-choice"), (None, "config.value-missing")])
def test_a_wrong_language_is_refused_with_those_there_are(folder, language, identifier):
    with refused(ConfigError, identifier, "de, en, zh"):
        speech_to_text.load_processor(folder, config(language=language))


def test_a_language_is_refused_where_there_is_none_to_choose(english):
    with refused(ConfigError, "config.not-for-model"):
        speech_to_text.load_processor(english, config(language="en"))


@pytest.mark.parametrize("beams", [1, 3])  # transformers refuses to save some values beside a single beam
def test_generation_settings_are_saved_with_the_language(folder, tmp_path, beams):
    model = speech_to_text.load(folder, config(language="de", beams=beams))
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "generation_config.json").read_text())
    assert (stored["language"], stored["task"], stored["num_beams"]) == ("de", "transcribe", beams)
    assert stored["max_length"] == 24
    assert stored["lang_to_id"].keys() == {"<|en|>", "<|zh|>", "<|de|>"}
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    again = speech_to_text.load_processor(tmp_path, config())  # the stored language where none is given
    assert "<|de|>" in again.tokenizer.convert_ids_to_tokens(again.prompt)


def test_speech_to_text_learns_and_writes_with_a_mask(tmp_path):
    folder = recordings.speech_to_text(tmp_path)
    settings = config(beams=2)
    model = speech_to_text.load(folder, settings)
    processor = transcribe.load_processor(folder, settings)
    assert processor.prompt == []
    rows = {
        "audio": [
            {"bytes": recordings.encoded(recordings.tone(300.0, seconds)), "path": "a.wav", "seconds": seconds}
            for seconds in (0.5, 0.8)
        ],
        "transcript": ["ab a", "b"],
    }
    made = transcribe.preprocess(rows, processor, settings)
    features = [
        {"input_features": made["input_features"][row], "labels": np.array(made["labels"][row])} for row in range(2)
    ]
    batch = transcribe.collate(features, processor)
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(row["input_features"]) for row in features]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
    model.eval()
    with torch.inference_mode():
        together = transcribe.generate(model, batch, processor, settings)["prediction"]
        alone = [
            transcribe.generate(model, transcribe.collate([row], processor), processor, settings)["prediction"][0]
            for row in features
        ]
    assert together == alone
    assert any(together)
