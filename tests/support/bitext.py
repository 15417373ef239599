"""A toy language pair, and tiny models that can translate it."""

import json
import random
from pathlib import Path

WORDS = {
    "one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs",
    "cat": "Katze", "dog": "Hund", "house": "Haus", "tree": "Baum", "sees": "sieht", "loves": "liebt",
    "red": "rot", "blue": "blau", "and": "und", "not": "nicht",
}  # fmt: skip


def pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return different sentences of three to nine words with their word for word translation."""
    chance = random.Random(seed)
    results: dict[str, str] = {}
    while len(results) < count:
        words = chance.choices(list(WORDS), k=chance.randint(3, 9))
        results[" ".join(words)] = " ".join(WORDS[word] for word in words)
    return list(results.items())


def tsv(path: Path, rows: list[tuple[str, str]], header: str = "en\tde") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def t5(folder: Path, width: int = 32) -> Path:
    """Write a T5 of one layer with random weights, and a tokenizer that knows the toy languages' words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    names = ["<pad>", "</s>", "<unk>", *WORDS, *WORDS.values()]
    made = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(names), d_model=width, d_kv=width // 2, d_ff=2 * width, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, dropout_rate=0.0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)
    return folder


def flan(folder: Path) -> Path:
    """Write a T5 whose output layer is not its table of embeddings, as FLAN-T5 and T5 v1.1 have it."""
    import torch
    from safetensors.torch import load_file, save_file

    t5(folder)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = torch.randn(weights["shared.weight"].shape, generator=torch.Generator().manual_seed(1))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["tie_word_embeddings"] = False
    del config["scale_decoder_outputs"]  # files from before transformers 5 lack it
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def marian(folder: Path) -> Path:
    """Write a checkpoint shaped like OPUS-MT's: two SentencePiece models, one vocabulary, tiny random weights."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"</s>": 0, "<unk>": 1}
    for side, sentences in zip(("source", "target"), zip(*pairs(300), strict=True), strict=True):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_prefix=str(folder / side), vocab_size=60, minloglevel=2,
            hard_vocab_limit=False,
        )  # fmt: skip
        (folder / f"{side}.model").rename(folder / f"{side}.spm")
        for line in (folder / f"{side}.vocab").read_text(encoding="utf-8").splitlines():
            vocabulary.setdefault(line.split("\t")[0], len(vocabulary))
        (folder / f"{side}.vocab").unlink()
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "de"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    pad = vocabulary["<pad>"]
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(vocabulary), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, pad_token_id=pad, eos_token_id=0,
        decoder_start_token_id=pad, forced_eos_token_id=0, max_position_embeddings=64, dropout=0.0,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    return folder


def multilingual(folder: Path, family: str) -> Path:
    """Write a tiny multilingual checkpoint with random weights: "mbart", "mbart50", "m2m100" or "nllb"."""
    import torch
    from transformers import (
        M2M100Config,
        M2M100ForConditionalGeneration,
        MBart50Tokenizer,
        MBartConfig,
        MBartForConditionalGeneration,
        MBartTokenizer,
        NllbTokenizer,
    )

    folder.mkdir(parents=True, exist_ok=True)
    special, words = ["<s>", "<pad>", "</s>", "<unk>"], [f"▁{word}" for word in (*WORDS, *WORDS.values())]
    if family == "m2m100":
        tokenizer = _m2m100_tokenizer(folder, special)
    elif family == "nllb":  # a piece for each character, and none of several
        signs = sorted({sign for word in words for sign in word})
        tokenizer = NllbTokenizer(vocab={piece: at for at, piece in enumerate([*special, *signs])}, merges=[])
    else:
        made = {"mbart": MBartTokenizer, "mbart50": MBart50Tokenizer}[family]
        codes = made().all_special_tokens if family == "mbart" else []
        pieces = [*special, *words, *(code for code in codes if code not in special)]
        tokenizer = made(vocab=[(piece, -1.0 if piece in words else 0.0) for piece in pieces])
    tokenizer.save_pretrained(folder)
    size = {
        "vocab_size": len(tokenizer) + 120, "d_model": 32, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64, "max_position_embeddings": 64, "dropout": 0.0, "pad_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    if family.startswith("mbart"):
        MBartForConditionalGeneration(MBartConfig(**size, decoder_start_token_id=2)).save_pretrained(folder)
    else:
        M2M100ForConditionalGeneration(M2M100Config(**size, decoder_start_token_id=2)).save_pretrained(folder)
    return folder


def _m2m100_tokenizer(folder: Path, special: list[str]) -> object:
    import sentencepiece
    from transformers import M2M100Tokenizer

    sentences = [text for pair in pairs(300) for text in pair]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_prefix=str(folder / "pieces"), vocab_size=80, minloglevel=2,
        hard_vocab_limit=False,
    )  # fmt: skip
    lines = (folder / "pieces.vocab").read_text(encoding="utf-8").splitlines()
    vocabulary: dict[str, int] = {}
    for piece in (*special, *(line.split("\t")[0] for line in lines)):
        vocabulary.setdefault(piece, len(vocabulary))
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "pieces.model"))
