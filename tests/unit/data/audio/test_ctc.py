"""Vocabularies of characters, labels and greedy decoding."""

import json
from pathlib import Path

import pytest
import torch

from tests.support import recordings
from tests.support.errors import refused
from toolkit.config.settings import LoadingConfig
from toolkit.data.audio import ctc
from toolkit.errors import ModelError

LOADING = LoadingConfig()


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random checkpoints that were not trained to write."""
    return recordings.checkpoints(tmp_path_factory.mktemp("families"))


@pytest.fixture
def processor(families: dict[str, Path], tmp_path: Path) -> ctc.Processor:
    """Of Wav2Vec2, with the characters a, b, l, o and the apostrophe."""
    ctc.write_completed(families["wav2vec2"], ["'", "a", "b", "l", "o"], tmp_path / "completed")
    return ctc.load(tmp_path / "completed", LOADING)


def test_learned_characters() -> None:
    texts = ["Don’t,  stop!", "e\u0301 | x"]
    assert "".join(ctc.learned(texts, keep_case=False, keep_punctuation=False)) == "'dnopstxé"
    assert "".join(ctc.learned(texts, keep_case=True, keep_punctuation=True)) == "!',Dnopstxé"


def test_labels_are_read_back(processor: ctc.Processor) -> None:
    numbers = processor.labels("  ALL’o  b?a ")
    assert [processor.tokenizer.convert_ids_to_tokens(number) for number in numbers] == [*"all'o|ba"]
    blank = processor.tokenizer.pad_token_id
    spread = [blank, *(part for number in numbers for part in (number, number, blank))]
    assert processor.decoded(spread) == "all'o ba"
    assert processor.decoded([number for number in numbers for _ in range(2)]) == "al'o ba"  # a letter held, not twice
    assert processor.decoded([blank] * 5) == ""
    assert processor.labels("?! |") == []


def test_a_vocabulary_of_capitals_is_used(families: dict[str, Path], tmp_path: Path) -> None:
    ctc.write_completed(families["hubert"], ["A", "B"], tmp_path / "completed")
    processor = ctc.load(tmp_path / "completed", LOADING)
    assert processor.labels("ab") == processor.labels("AB")
    notes = ctc.remarks(["ab, c", "c"], processor)
    assert "2 characters: A B" in notes[0]
    assert "c (2)" in notes[1]
    assert len(ctc.remarks(["ab"], processor)) == 1


def test_it_is_transformers_tokenizer(processor: ctc.Processor, tmp_path: Path) -> None:
    from transformers import AutoProcessor

    processor.save_pretrained(tmp_path / "saved")
    theirs = AutoProcessor.from_pretrained(tmp_path / "saved")
    numbers = processor.labels("ball o'boa")
    assert theirs.tokenizer("ball o'boa").input_ids == numbers
    spread = [part for number in numbers for part in (number, 0)]
    assert theirs.tokenizer.decode(spread) == processor.decoded(spread) == "ball o'boa"


def test_a_completed_checkpoint_keeps_weights_and_original(families: dict[str, Path], tmp_path: Path) -> None:
    original = families["wav2vec2"]
    (original / "vocab.json").write_text('{"z": 0}')
    before = {file.name: file.read_bytes() for file in original.iterdir()}
    ctc.write_completed(original, ["a"], tmp_path / "completed")
    assert {file.name: file.read_bytes() for file in original.iterdir()} == before
    assert (tmp_path / "completed" / "model.safetensors").read_bytes() == before["model.safetensors"]
    facts = json.loads((tmp_path / "completed" / "config.json").read_text())
    assert (facts["vocab_size"], facts["pad_token_id"]) == (4, 0)
    assert ctc.outputs(tmp_path / "completed") == ["<pad>", "<unk>", "|", "a"]
    assert not ctc.is_trained(tmp_path / "completed")
    (original / "vocab.json").unlink()


def test_a_checkpoint_without_a_vocabulary_is_refused(families: dict[str, Path]) -> None:
    with refused(ModelError, "model.no-vocabulary"):
        ctc.load(families["wav2vec2"], LOADING)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-bert"])
@pytest.mark.parametrize("adapter", [False, True])
def test_frames_are_as_many_as_the_model_makes(
    families: dict[str, Path], tmp_path: Path, name: str, adapter: bool
) -> None:
    import transformers

    ctc.write_completed(families[name], ["a"], tmp_path / "completed")
    file = tmp_path / "completed" / "config.json"
    shape = {"add_adapter": adapter, "num_adapter_layers": 2, "output_hidden_size": 16}
    file.write_text(json.dumps({**json.loads(file.read_text()), **shape}))
    processor = ctc.load(tmp_path / "completed", LOADING)
    model = transformers.AutoModelForCTC.from_config(transformers.AutoConfig.from_pretrained(tmp_path / "completed"))
    width = (160,) if name == "wav2vec2-bert" else ()
    for length in (1601, 2000, 3203):
        value = model.eval()(torch.zeros(1, length // (20 if width else 1), *width)).logits
        inputs = torch.tensor([length // (20 if width else 1)])
        assert processor.frames(inputs).tolist() == [value.shape[1]]


def test_padding_is_not_decoded(processor: ctc.Processor) -> None:
    letter = processor.labels("b")[0]
    length = 1601
    frames = int(processor.frames(torch.tensor(length)))
    logits = torch.zeros(1, frames + 3, 8)
    logits[0, :2, processor.labels("a")[0]] = 1
    logits[0, frames:, letter] = 1
    mask = torch.zeros(1, length + 1000)
    mask[0, :length] = 1
    assert ctc.best_path(logits, mask.long(), processor) == ["a"]
    assert ctc.best_path(logits, None, processor) == ["ab"]
