"""Small real checkpoints, and tables to fine-tune them on."""

import csv
import hashlib
import random
from pathlib import Path

TINY = "pkg://cognition/model"  # BERT-tiny, 2 layers of 128, out of a package of the dev extra
TINY_SHA256 = "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"

_NAMES = {
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def distilbert_from_bert(source: Path, target: Path) -> Path:
    """Write the BERT checkpoint in `source` as a DistilBERT to `target`; both give the same hidden states.

    DistilBERT has no token types, so the embedding of type 0, which BERT adds to every token of a single
    text, is folded into the word embeddings.
    """
    from transformers import AutoTokenizer, BertModel, DistilBertConfig, DistilBertModel

    original = BertModel.from_pretrained(source)
    bert, weights = original.config, original.state_dict()
    config = DistilBertConfig(
        vocab_size=bert.vocab_size,
        max_position_embeddings=bert.max_position_embeddings,
        dim=bert.hidden_size,
        hidden_dim=bert.intermediate_size,
        n_layers=bert.num_hidden_layers,
        n_heads=bert.num_attention_heads,
    )
    model = DistilBertModel(config)
    state = {
        "embeddings.word_embeddings.weight": weights["embeddings.word_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0],
        "embeddings.position_embeddings.weight": weights["embeddings.position_embeddings.weight"],
    }
    for part in ("weight", "bias"):
        state[f"embeddings.LayerNorm.{part}"] = weights[f"embeddings.LayerNorm.{part}"]
        for layer in range(config.n_layers):
            for ours, theirs in _NAMES.items():
                state[f"transformer.layer.{layer}.{ours}.{part}"] = weights[f"encoder.layer.{layer}.{theirs}.{part}"]
    model.load_state_dict(state)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source).save_pretrained(target)
    return target


GOOD = ("wonderful", "moving", "brilliant", "funny", "charming", "superb", "delightful", "clever")
BAD = ("dull", "boring", "awful", "clumsy", "tedious", "stupid", "lifeless", "terrible")
NOUNS = ("film", "story", "script", "cast", "plot", "ending", "score", "drama", "comedy", "scene")


def reviews(path: Path, rows: int = 240, seed: int = 0, text: str = "text", label: str = "label") -> Path:
    """Write a CSV of short reviews that any working classifier learns; every text is different."""
    draw = random.Random(seed)
    seen: dict[str, str] = {}
    while len(seen) < rows:
        good = len(seen) % 2 == 0
        words = draw.sample(GOOD if good else BAD, 2)
        noun, other = draw.sample(NOUNS, 2)
        sentence = f"a {words[0]} {noun} with a {words[1]} {other}, seen {draw.randint(1, 99)} times"
        seen[sentence] = "positive" if good else "negative"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([text, label])
        writer.writerows(seen.items())
    return path
