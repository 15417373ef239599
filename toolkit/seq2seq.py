"""Encoding and generation for every sequence-to-sequence model, and a small one with random weights.

Architecture of the small one: Vaswani et al. 2017, "Attention Is All You Need", as transformers' Marian has it; one
vocabulary and one embedding table for both languages and for the output.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import checkpoints, models
from toolkit.config import RunConfig
from toolkit.data.bitext import languages
from toolkit.errors import ModelError

PAD, END = "<pad>", "</s>"


def load_tokenizer(path: Path, config: RunConfig) -> Any:
    """Load a checkpoint's tokenizer; it knows the model's family and, of a multilingual one, the two languages."""
    tokenizer = models.load_tokenizer(path, config.loading, fast=False)
    languages.tell(tokenizer, config.options.get("source"), config.options.get("target"))
    tokenizer.model_type = checkpoints.family(path)
    return tokenizer


def load(path: Path, config: RunConfig, **arguments: Any) -> Any:
    """Load a checkpoint with its generation settings; `arguments` are values for its configuration."""
    from transformers import AutoModelForSeq2SeqLM

    model = models.load(AutoModelForSeq2SeqLM, path, (), config.loading, config.training, **arguments)
    tokenizer = load_tokenizer(path, config)
    settings = {key: config.options[key] for key in ("beams", "length_penalty")}
    settle_generation(model, tokenizer, max_length=config.data.max_length, **settings)
    before = prefix(tokenizer, config)
    if before or getattr(model.config, "prefix", None):
        model.config.prefix = before  # other programs read it there
    return model


def prefix(tokenizer: Any, config: RunConfig) -> str:
    """Return the prefix of every source: that of the option, or of the languages."""
    given: str | None = config.options.get("prefix")
    if given is not None:
        return given
    return languages.prefix(tokenizer, config.options.get("source"), config.options.get("target"))


def encode(texts: Sequence[str], tokenizer: Any, longest: int, side: str = "text") -> list[list[int]]:
    """Turn texts into token numbers, each cut at `longest`.

    Args:
        texts: Of one side.
        tokenizer: Of transformers.
        longest: Tokens that a text may have.
        side: "text" for sources, "text_target" for translations.
    """
    encoded = tokenizer(**{side: list(texts)}, truncation=True, max_length=longest, return_attention_mask=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def encode_pairs(rows: Mapping[str, Sequence[str]], tokenizer: Any, prefix: str, longest: int) -> dict[str, list[Any]]:
    """Turn sources, and targets where there are any, into a model's inputs.

    Args:
        rows: "source" and "target" → texts.
        tokenizer: Of transformers.
        prefix: Prepended to every source.
        longest: Tokens that a text may have.

    Returns:
        "input_ids", "labels" where there are targets, and "truncated", whether a side was cut.
    """
    features = {"input_ids": encode([prefix + text for text in rows["source"]], tokenizer, longest)}
    if "target" in rows:
        features["labels"] = encode(rows["target"], tokenizer, longest, side="text_target")
    cut = [any(len(side) >= longest for side in row) for row in zip(*features.values(), strict=True)]
    return {**features, "truncated": cut}


def decode(rows: Sequence[Sequence[int]], tokenizer: Any, forced: int | None) -> list[str]:
    """Turn token numbers into texts, without special tokens.

    Args:
        rows: Of each text.
        tokenizer: Of transformers.
        forced: Token that is forced at the start: a language, which some tokenizers do not count as special.
    """
    bare = [list(row[1:] if row and row[0] == forced else row) for row in rows]
    return [text.strip() for text in tokenizer.batch_decode(bare, skip_special_tokens=True)]


def settle_generation(model: Any, tokenizer: Any, *, beams: int, max_length: int, length_penalty: float) -> None:
    """Write the settings of generation into a model's generation configuration, without the usual limit of 20 tokens.

    A multilingual model gets the target language as a token. Where its tokenizer puts that token first in a
    translation (mBART-50, M2M100, NLLB) it is forced there; where it puts it after the end (mBART as it was first
    published) decoding starts from it.

    Args:
        model: Of transformers.
        tokenizer: That knows the target language.
        beams: Of beam search.
        max_length: Tokens of a text at most.
        length_penalty: Above 1 favours long texts, where there are several beams.

    Raises:
        ModelError: Neither the model nor its tokenizer defines the start and end tokens of a translation.
    """
    settings = model.generation_config
    several = beams > 1  # transformers refuses to save values of beam search beside a single beam
    length_penalty = length_penalty if several else 1.0
    settings.update(num_beams=beams, max_length=max_length, length_penalty=length_penalty, early_stopping=several)
    target = getattr(tokenizer, "tgt_lang", None)
    if target and target in languages.codes_of(tokenizer):
        token = languages.token_number(tokenizer, target)
        if tokenizer(text_target="a")["input_ids"][0] == token:
            settings.forced_bos_token_id = token
        else:
            settings.update(decoder_start_token_id=token, forced_bos_token_id=None)
            model.config.decoder_start_token_id = token
    if settings.eos_token_id is None:
        settings.eos_token_id = tokenizer.eos_token_id
    if settings.decoder_start_token_id is None:
        settings.decoder_start_token_id = getattr(model.config, "decoder_start_token_id", None)
    if settings.eos_token_id is None or (settings.decoder_start_token_id is None and settings.bos_token_id is None):
        raise ModelError(
            f"{type(model).__name__} does not define the start and end tokens of a translation.",
            "Set `decoder_start_token_id` and `eos_token_id` in its generation_config.json.",
            id="model.generation-undefined",
        )


def write_untrained(
    texts: Iterable[str],
    folder: Path,
    *,
    vocabulary: int,
    width: int,
    layers: int,
    positions: int,
    seed: int,
) -> None:
    """Write a checkpoint with random weights, and a tokenizer learnt from the texts.

    The tokenizer joins bytes into pieces (Sennrich et al. 2016, byte pair encoding), so it can read and write
    any character.

    Args:
        texts: Of both languages.
        folder: Where to.
        vocabulary: Pieces that the tokenizer knows at most.
        width: Hidden size.
        layers: Of the encoder, and of the decoder.
        positions: Tokens that a text may have.
        seed: Of the weights.
    """
    import torch
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
    from tokenizers.models import BPE
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    made = Tokenizer(BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=[PAD, END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    made.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token=PAD, eos_token=END)
    heads = max(1, width // 64)
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        activation_function="relu",
        dropout=0.1,
        scale_embedding=True,
        max_position_embeddings=positions,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        forced_eos_token_id=1,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]), models.quiet():
        torch.manual_seed(seed)
        MarianMTModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
