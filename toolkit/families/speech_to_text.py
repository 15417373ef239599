"""Models that write what is said token by token, such as Whisper: their inputs and labels, languages and loading.

    decoder   start  prompt: language, task, no timestamps  text …  end
    labels           prompt: language, task, no timestamps  text …  end

The prompt is what the checkpoint's tokenizer puts before a text; models of one language have a shorter one, or none.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", section 2.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import checkpoints, models, runs, seq2seq
from toolkit.config import RunConfig
from toolkit.data.audio import feature_extraction
from toolkit.errors import ConfigError
from toolkit.families import speech

_GENERATION = "generation_config.json"
_SHOWN = 12  # languages that a message names


@dataclass(frozen=True)
class Processor:
    """What makes inputs of recordings, labels of texts and texts of outputs.

    Attributes:
        extractor: The feature extractor.
        tokenizer: The tokenizer; it knows language and task.
        start: Token that decoding starts from.
        positions: Tokens that the decoder can write, with the first; None where that has no bound.
    """

    extractor: Any
    tokenizer: Any
    start: int | None
    positions: int | None

    def save_pretrained(self, folder: Path | str) -> None:
        """Write both so that transformers loads them."""
        self.tokenizer.save_pretrained(folder)
        self.extractor.save_pretrained(folder)

    @property
    def prompt(self) -> list[int]:
        """The tokens between the start and a text."""
        around = [int(token) for token in self.tokenizer("")["input_ids"]]
        return [token for token in around if token not in (self.start, self.tokenizer.eos_token_id)]

    def longest(self, wanted: int) -> int:
        """Return how many tokens a text may have, with its end: `wanted`, or as many as the decoder has room for."""
        return wanted if self.positions is None else min(wanted, self.positions - 1 - len(self.prompt))

    def labels(self, texts: Sequence[str], wanted: int) -> tuple[list[list[int]], list[bool]]:
        """Return the labels of texts, and which of these were cut.

        Args:
            texts: The transcripts.
            wanted: Tokens that a text may have.
        """
        prompt, most = self.prompt, self.longest(wanted) - 1
        before = " " if prompt else ""  # Whisper writes a space before the first word
        spelt = [before + " ".join(text.split()) for text in texts]
        rows = self.tokenizer(spelt, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        end = self.tokenizer.eos_token_id
        return [[*prompt, *row[:most], end] for row in rows], [len(row) > most for row in rows]


def load_processor(path: Path, config: RunConfig) -> Processor:
    """Load the feature extractor and the tokenizer of a checkpoint folder, with the language and the task.

    Raises:
        ModelError: One of them cannot be loaded.
        ConfigError: The model does not write the language, or needs one.
    """
    extractor = feature_extraction.load(path, config.loading)
    tokenizer = models.load_tokenizer(path, config.loading, fast=False)
    facts = {**runs.read_object(path / "config.json"), **_generation(path)}
    language = _language(path, config)
    if hasattr(tokenizer, "set_prefix_tokens"):
        task = config.options["task"] if language else None
        tokenizer.set_prefix_tokens(language=language, task=task, predict_timestamps=False)
    return Processor(extractor, tokenizer, facts.get("decoder_start_token_id"), facts.get("max_target_positions"))


def load(path: Path, config: RunConfig, **arguments: Any) -> Any:
    """Load a checkpoint with its generation settings; `arguments` are values for its configuration.

    Raises:
        ModelError: It cannot be loaded, or defines no start and end tokens.
        ConfigError: As of `load_processor`.
    """
    from transformers import AutoModelForSpeechSeq2Seq

    model = speech.load(AutoModelForSpeechSeq2Seq, path, (), config, **arguments)
    processor = load_processor(path, config)
    most = processor.longest(config.data.max_length) + 1 + len(processor.prompt)
    seq2seq.settle_generation(
        model, processor.tokenizer, beams=config.options["beams"], max_length=most, length_penalty=1.0
    )
    language = _language(path, config)
    if language:
        settings = model.generation_config
        settings.language, settings.task, settings.forced_decoder_ids = language, config.options["task"], None
    return model


def _language(path: Path, config: RunConfig) -> str | None:
    """Return the code of the language that is written; None for a model that writes one alone.

    Raises:
        ConfigError: The model does not write the language that the options name, or they name none.
    """
    facts, wanted = _generation(path), config.options["language"]
    codes = [str(token).strip("<|>") for token in facts.get("lang_to_id") or {}]
    if not codes:
        if wanted or config.options["task"] != "transcribe":
            raise ConfigError(
                f"{config.model} writes one language, so it takes no language and no other task.",
                "Leave out --language and --task.",
                id="config.not-for-model",
            )
        return None
    code = _code(str(wanted or facts.get("language") or ""))
    if code not in codes:
        more = f" and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else ""
        problem = f"has no language {wanted!r}" if wanted else f"writes {len(codes):,} languages, and none is named"
        raise ConfigError(
            f"{config.model} {problem}.",
            f"Give --language with one of {', '.join(codes[:_SHOWN])}{more}.",
            id="config.unknown-choice" if wanted else "config.value-missing",
        )
    return code


def _code(language: str) -> str:
    """Return the code of a language that is given by code, token or English name."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    plain = language.strip("<|>").lower()
    return str(TO_LANGUAGE_CODE.get(plain, plain))


def _generation(path: Path) -> Mapping[str, Any]:
    return runs.read_object(path / _GENERATION) if (path / _GENERATION).is_file() else {}


def is_one(path: Path) -> bool:
    """Whether the checkpoint in a folder is of such a family."""
    return checkpoints.family(path) in checkpoints.SPEECH_TO_TEXT
