"""Random text classifiers of several families, small enough for milliseconds."""

from typing import Any

SMALL = {"vocab_size": 50, "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
FAMILIES = ("bert", "distilbert", "roberta")


def classifier(family: str, labels: int = 2, dropout: float = 0.0, layers: int = 2) -> Any:
    """Return a random text classifier of a family: two layers of 16 by default."""
    import torch
    import transformers

    torch.manual_seed(0)
    if family == "distilbert":
        config = transformers.DistilBertConfig(
            vocab_size=50, n_layers=layers, dim=16, n_heads=2, hidden_dim=32, num_labels=labels,
            max_position_embeddings=34, dropout=dropout, attention_dropout=dropout, seq_classif_dropout=dropout,
        )  # fmt: skip
        return transformers.DistilBertForSequenceClassification(config)
    settings = {**SMALL, "num_hidden_layers": layers, "num_labels": labels, "max_position_embeddings": 34}
    settings |= {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    if family == "roberta":
        return transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**settings, pad_token_id=1))
    return transformers.BertForSequenceClassification(transformers.BertConfig(**settings))


def batch(rows: int = 4, length: int = 9) -> dict[str, Any]:
    """Return token ids (rows, length), full masks, and labels of two classes."""
    import torch

    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 50, (rows, length), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.arange(rows) % 2}
