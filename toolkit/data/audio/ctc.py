"""Models that write a character, or none, for each frame of a recording: vocabulary, labels and greedy decoding.

    frames    h h e ∅ l l ∅ l o o     the most probable output of each frame, ∅ is none
    text      h   e   l     l o       equal neighbours are one character, then ∅ is removed

Source: Graves et al. 2006, "Connectionist Temporal Classification", sections 3 and 3.2.1 (best path decoding).
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import models, runs
from toolkit.config.settings import LoadingConfig
from toolkit.data.audio import feature_extraction
from toolkit.errors import ModelError

BLANK, UNKNOWN, SPACE = "<pad>", "<unk>", "|"
VOCABULARY = "vocab.json"
_SHOWN = 60  # characters that a note names
_TOKENIZER = {
    "pad_token": BLANK,
    "unk_token": UNKNOWN,
    "word_delimiter_token": SPACE,
    "bos_token": None,
    "eos_token": None,
}
_REPLACED = (
    *("config.json", VOCABULARY, "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json"),
)


@dataclass(frozen=True)
class Processor:
    """What makes inputs of recordings and texts of outputs.

    Attributes:
        extractor: The feature extractor.
        tokenizer: A `Wav2Vec2CTCTokenizer`.
        steps: Kernel and stride of each convolution from inputs to frames.
    """

    extractor: Any
    tokenizer: Any
    steps: Sequence[tuple[int, int]]

    def save_pretrained(self, folder: Path | str) -> None:
        """Write both so that `AutoProcessor` of transformers loads them."""
        from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertProcessor, Wav2Vec2Processor

        of_frames = isinstance(self.extractor, SeamlessM4TFeatureExtractor)
        kind = Wav2Vec2BertProcessor if of_frames else Wav2Vec2Processor
        kind(self.extractor, self.tokenizer).save_pretrained(folder)
        self.extractor.save_pretrained(folder)

    def labels(self, text: str) -> list[int]:
        """Return the numbers of a text's characters.

        A letter that the vocabulary has in the other case alone is taken in that; what it lacks is left out.
        """
        known = self.tokenizer.get_vocab()
        space = self.tokenizer.word_delimiter_token
        spelt = " ".join("".join(_known(sign, known) for sign in _composed(text)).split())
        return [known[space if sign == " " else sign] for sign in spelt if sign != " " or space in known]

    def frames(self, inputs: Any) -> Any:
        """Return how many frames a model makes of so many inputs."""
        for kernel, stride in self.steps:
            inputs = (inputs - kernel) // stride + 1
        return inputs

    def decoded(self, numbers: Sequence[int]) -> str:
        """Return the text of the most probable output of each frame."""
        blank = self.tokenizer.pad_token_id
        kept = [number for number, _ in groupby(numbers) if number != blank]
        special = {*self.tokenizer.all_special_tokens} - {self.tokenizer.word_delimiter_token}
        tokens = [token for token in self.tokenizer.convert_ids_to_tokens(kept) if token not in special]
        return " ".join("".join(tokens).replace(self.tokenizer.word_delimiter_token, " ").split())


def load(path: Path, loading: LoadingConfig) -> Processor:
    """Load the feature extractor and the vocabulary of a checkpoint folder.

    Raises:
        ModelError: It has no vocabulary of characters, or cannot be loaded.
    """
    if not (path / VOCABULARY).is_file():
        raise ModelError(
            f"The checkpoint in {path} has no {VOCABULARY}: it was not trained to write characters.",
            "Fine-tune it first; `toolkit finetune transcribe` learns a vocabulary from the transcripts.",
            id="model.no-vocabulary",
        )
    extractor = feature_extraction.load(path, loading)
    with models.model_errors(path), models.quiet():
        from transformers import Wav2Vec2CTCTokenizer

        tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(path)
    facts = runs.read_object(path / "config.json")
    steps = list(zip(facts.get("conv_kernel") or (), facts.get("conv_stride") or (), strict=True))
    if facts.get("add_adapter"):  # its padding leaves the length to the strides alone
        steps += [(1, int(facts.get("adapter_stride", 2)))] * int(facts.get("num_adapter_layers", 0))
    return Processor(extractor, tokenizer, tuple(steps))


def is_trained(path: Path) -> bool:
    """Whether the checkpoint in a folder was trained to write the characters of its vocabulary."""
    named = runs.read_object(path / "config.json").get("architectures")
    return (path / VOCABULARY).is_file() and any(str(name).endswith("ForCTC") for name in named or ())


def outputs(path: Path) -> list[str]:
    """Return what each output of a checkpoint's head stands for, in their order."""
    known = runs.read_object(path / VOCABULARY)
    return sorted(known, key=lambda token: int(known[token]))


def remarks(texts: Iterable[str], processor: Processor) -> list[str]:
    """Return notes on the vocabulary: its characters, and those of some texts that it lacks."""
    known = processor.tokenizer.get_vocab()
    counted = Counter(sign for text in texts for sign in _composed(text))
    letters = sorted(token for token in known if len(token) == 1 and token != SPACE)
    shown = f"{' '.join(letters[:_SHOWN])}{' …' if len(letters) > _SHOWN else ''}"
    notes = [f"Transcripts are written with {len(letters):,} characters: {shown}"]
    missing = [(sign, count) for sign, count in counted.most_common() if not _known(sign, known)]
    if missing:
        shown = " ".join(f"{sign} ({count:,})" for sign, count in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        notes.append(f"Characters of the transcripts that the vocabulary lacks are left out: {shown}{more}")
    return notes


def learned(texts: Iterable[str], *, keep_case: bool, keep_punctuation: bool) -> list[str]:
    """Return the characters of texts, sorted, without white space.

    Args:
        texts: The transcripts.
        keep_case: Whether capital letters are characters of their own.
        keep_punctuation: Whether there is punctuation other than the apostrophe.
    """
    signs = {sign for text in texts for sign in _composed(text if keep_case else text.lower()) if not sign.isspace()}
    signs = {
        sign for sign in signs if keep_punctuation or sign == "'" or not unicodedata.category(sign).startswith("P")
    }
    return sorted(signs - {SPACE})


def write_vocabulary(characters: Sequence[str], folder: Path) -> None:
    """Write a vocabulary into the folder of a model, and its size into the config.json there."""
    from transformers import Wav2Vec2CTCTokenizer

    tokens = [BLANK, UNKNOWN, SPACE, *characters]
    (folder / VOCABULARY).write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    Wav2Vec2CTCTokenizer(str(folder / VOCABULARY), **_TOKENIZER).save_pretrained(folder)
    facts = runs.read_object(folder / "config.json")
    none = {"bos_token_id": None, "eos_token_id": None}
    runs.write_json(folder / "config.json", {**facts, **none, "vocab_size": len(tokens), "pad_token_id": 0})


def write_completed(path: Path, characters: Sequence[str], folder: Path) -> None:
    """Write a checkpoint with a vocabulary: links to the files of another, its configuration and the vocabulary.

    Args:
        path: Folder of the other checkpoint.
        characters: The vocabulary.
        folder: Where to write; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name not in _REPLACED:
            (folder / file.name).symlink_to(file.resolve())
    runs.write_json(folder / "config.json", runs.read_object(path / "config.json"))
    write_vocabulary(characters, folder)


def best_path(logits: Any, mask: Any, processor: Processor) -> list[str]:
    """Return the text of each recording by greedy decoding.

    Args:
        logits: (B, F, V).
        mask: Which inputs are real, (B, T); None where the model was trained without one, and reads padding as silence.
        processor: Its vocabulary.
    """
    numbers = np.asarray(logits.argmax(dim=-1).cpu())  # (B, F)
    real = [numbers.shape[1]] * len(numbers) if mask is None else processor.frames(mask.sum(dim=-1)).tolist()
    return [processor.decoded(row[: max(0, length)].tolist()) for row, length in zip(numbers, real, strict=True)]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\u2019", "'"))


def _known(sign: str, known: Any) -> str:
    """Return a character as the vocabulary has it; "" for one that it lacks, and " " for white space."""
    if sign.isspace():
        return " "
    if sign == SPACE:
        return ""
    return next((form for form in (sign, sign.lower(), sign.upper()) if form in known), "")
