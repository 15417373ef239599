"""The benchmark of spoken digits: its table is that of its record, and missing programs are named."""

import json
import re

import pytest

from benchmarks import speech, transcribe
from benchmarks.default_data import MissingError
from benchmarks.finetune import RESULTS, ROOT


def test_the_document_holds_the_table_of_the_record():
    record = json.loads((RESULTS / "speech-cpu.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "speech.md").read_text(encoding="utf-8")
    held = re.search(r"speech-cpu\.json -->\n(.*?)<!-- end", page, re.DOTALL)
    assert held is not None
    assert held[1] == speech.markdown(record)
    accuracy = next(metric["value"] for metric in record["voices"] if metric["name"] == "accuracy")
    assert accuracy > 0.9


def test_the_document_holds_the_table_of_transcription():
    record = json.loads((RESULTS / "transcribe-cpu.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "speech.md").read_text(encoding="utf-8")
    held = re.search(r"transcribe-cpu\.json -->\n(.*?)<!-- end", page, re.DOTALL)
    assert held is not None
    assert held[1] == transcribe.markdown(record)
    assert record["epochs"] == transcribe.EPOCHS
    assert record["voices"]["wer"]["value"] < 0.25


def test_no_voice_is_in_two_parts():
    voices = [set(voices) for _, voices in speech.VOICES.values()]
    assert sum(map(len, voices)) == len(set().union(*voices))
    assert not {*speech.VOICES["train"][0]} & {*speech.VOICES["test"][0]}


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(speech.shutil, "which", lambda _name: None)
    with pytest.raises(MissingError, match="espeak-ng"):
        speech.draw(tmp_path)
