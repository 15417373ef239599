"""Generated recordings of two classes, and small random checkpoints of the families that read recordings."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 16_000
CLASSES = {"low": 200.0, "high": 1200.0}  # frequency in Hz
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_CONVOLUTIONS = {
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 4],
    "conv_stride": [5, 8, 8],
    "num_feat_extract_layers": 3,
}
_POSITIONS = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}


def tone(
    frequency: float, seconds: float = 0.5, seed: int = 0, rate: int = RATE
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a tone with a little noise. Shape (T,)."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * (frequency * time + random.random()))
    return (wave + random.normal(0, 0.01, len(time))).astype(np.float32)


def encoded(samples: np.ndarray[Any, Any], rate: int = RATE, form: str = "WAV") -> bytes:
    """Return samples as the bytes of a file of 16 bits."""
    stream = io.BytesIO()
    soundfile.write(stream, np.rint(samples * 32767).astype(np.int16), rate, format=form)
    return stream.getvalue()


def folder(path: Path, rows: int, parts: tuple[str, ...] = ("",)) -> Path:
    """Write `rows` recordings of each class, of different lengths, into a folder for each class in each part."""
    for start, part in enumerate(parts):
        for label, frequency in CLASSES.items():
            (path / part / label).mkdir(parents=True, exist_ok=True)
            for row in range(rows):
                seed = 10_000 * start + 100 * len(label) + row
                samples = tone(frequency * (1 + row / rows / 4), 0.3 + 0.02 * (row % 10), seed)
                (path / part / label / f"{row:03}.wav").write_bytes(encoded(samples))
    return path


def checkpoints(folder: Path) -> dict[str, Path]:
    """Write a random checkpoint of each family for classification, with its feature extractor."""
    import torch
    import transformers as t

    samples = {"feature_size": 1, "sampling_rate": RATE, "padding_value": 0.0, "do_normalize": True}
    made = {
        "wav2vec2": (  # layer normalisation, and a mask of the padding
            t.Wav2Vec2Config(
                **SMALL, **_CONVOLUTIONS, **_POSITIONS, feat_extract_norm="layer", do_stable_layer_norm=True,
                classifier_proj_size=16,
            ),
            t.Wav2Vec2FeatureExtractor(**samples, return_attention_mask=True),
        ),
        "hubert": (  # group normalisation over time, and no mask
            t.HubertConfig(
                **SMALL, **_CONVOLUTIONS, **_POSITIONS, feat_extract_norm="group", classifier_proj_size=16
            ),
            t.Wav2Vec2FeatureExtractor(**samples, return_attention_mask=False),
        ),
        "wav2vec2-bert": (
            t.Wav2Vec2BertConfig(
                **SMALL, feature_projection_input_dim=160, conv_depthwise_kernel_size=5, classifier_proj_size=16
            ),
            t.SeamlessM4TFeatureExtractor(),
        ),
        "ast": (
            t.ASTConfig(**SMALL, max_length=64, num_mel_bins=32, frequency_stride=8, time_stride=8),
            t.ASTFeatureExtractor(max_length=64, num_mel_bins=32),
        ),
        "whisper": (
            t.WhisperConfig(
                d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
                encoder_ffn_dim=24, decoder_ffn_dim=24, num_mel_bins=16, max_source_positions=50,
                classifier_proj_size=16, vocab_size=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                decoder_start_token_id=1,
            ),
            t.WhisperFeatureExtractor(feature_size=16, chunk_length=1),
        ),
    }  # fmt: skip
    saved = {}
    for name, (config, extractor) in made.items():
        torch.manual_seed(0)
        config.num_labels = 3
        saved[name] = folder / name
        t.AutoModelForAudioClassification.from_config(config).save_pretrained(saved[name])
        extractor.save_pretrained(saved[name])
    return saved


LANGUAGES = ("en", "zh", "de")  # of `whisper`, in the order of its tokens


def whisper(folder: Path, *, multilingual: bool = True) -> Path:
    """Write a Whisper that hears one second and writes bytes: random weights, tokenizer and generation settings."""
    import torch
    import transformers as t
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    languages = [f"<|{code}|>" for code in LANGUAGES] if multilingual else []
    tasks = ["<|translate|>", "<|transcribe|>"] if multilingual else []
    signs = list(bytes_to_unicode().values())
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *tasks, "<|notimestamps|>"]
    numbers = {token: number for number, token in enumerate([*signs, *special])}
    tokenizer = t.WhisperTokenizer(
        vocab={sign: numbers[sign] for sign in signs}, merges=[], pad_token="<|endoftext|>",
        additional_special_tokens=special[1:],
    )  # fmt: skip
    assert [tokenizer.convert_tokens_to_ids(token) for token in numbers] == list(numbers.values())
    end, start = numbers["<|endoftext|>"], numbers["<|startoftranscript|>"]
    config = t.WhisperConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=16, max_source_positions=50, max_target_positions=24,
        vocab_size=len(tokenizer), pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=start,
    )  # fmt: skip
    torch.manual_seed(0)
    model = t.WhisperForConditionalGeneration(config)
    settings = {
        "_from_model_config": False,
        "no_timestamps_token_id": numbers["<|notimestamps|>"],
        "is_multilingual": multilingual,
        "begin_suppress_tokens": [numbers[bytes_to_unicode()[32]], end],
        "max_length": 24,
    }
    if multilingual:
        settings["lang_to_id"] = {token: numbers[token] for token in languages}
        settings["task_to_id"] = {token.strip("<|>"): numbers[token] for token in tasks}
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    t.WhisperFeatureExtractor(feature_size=16, chunk_length=1).save_pretrained(folder)
    return folder


def speech_to_text(folder: Path) -> Path:
    """Write a Speech2Text that writes letters: random weights, and a SentencePiece vocabulary."""
    import json

    import sentencepiece
    import torch
    import transformers as t

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b ab ba aa bb"] * 20), model_prefix=str(folder / "made"), vocab_size=12,
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    (folder / "made.model").rename(folder / "sentencepiece.bpe.model")
    pieces = [line.split("\t")[0] for line in (folder / "made.vocab").read_text(encoding="utf-8").splitlines()]
    (folder / "made.vocab").unlink()
    tokens = dict.fromkeys(["<s>", "<pad>", "</s>", "<unk>", *pieces])
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    t.Speech2TextTokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model")).save_pretrained(folder)
    torch.manual_seed(0)
    config = t.Speech2TextConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, conv_channels=32, input_feat_per_channel=16, max_target_positions=24,
        vocab_size=len(vocabulary), pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2,
        dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
    )  # fmt: skip
    t.Speech2TextForConditionalGeneration(config).save_pretrained(folder)
    t.Speech2TextFeatureExtractor(feature_size=16, num_mel_bins=16).save_pretrained(folder)
    return folder
