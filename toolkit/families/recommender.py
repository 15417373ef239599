"""Models that rank items after a history: their vocabulary, a small one with random weights, and its rankings.

Architecture: Kang and McAuley 2018, "Self-Attentive Sequential Recommendation": causal self-attention over embeddings
of items with learned positions, and the same embeddings at the output; here as transformers' GPT-2, which normalises
before each layer and has a token in front of every sequence. It learns from every position by a cross entropy over all
items (Petrov and Macdonald 2023, "gSASRec", section 3, on what sampling instead costs).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import models, runs
from toolkit.config import RunConfig
from toolkit.data.batching.batch import pad
from toolkit.metrics.ranking import LISTED

SPECIAL = ("<pad>", "<unk>", "<start>")  # the first tokens, which are no items
COUNTS = "item_counts"  # key of the model's configuration: interactions of each token in train
_IGNORED = -100


def write_untrained(
    sequences: Iterable[Sequence[str]],
    folder: Path,
    *,
    width: int,
    layers: int,
    heads: int,
    dropout: float,
    longest: int,
    seed: int,
) -> None:
    """Write a checkpoint with random weights, and a tokenizer whose words are the items, the most frequent first.

    Args:
        sequences: Items of the training rows.
        folder: Where to.
        width: Size of an embedding.
        layers: Of the model.
        heads: Of each layer.
        dropout: Of embeddings and hidden states.
        longest: Items of a history that it reads.
        seed: Of the weights.
    """
    import torch
    from tokenizers import Tokenizer, processors
    from tokenizers.models import WordLevel
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    counted = Counter(item for sequence in sequences for item in sequence)
    items = [item for item in sorted(counted, key=lambda item: (-counted[item], item)) if item not in SPECIAL]
    vocabulary = {name: number for number, name in enumerate([*SPECIAL, *items])}
    padding, unknown, start = SPECIAL
    made = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    made.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, vocabulary[start])]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=padding, unk_token=unknown, bos_token=start, padding_side="right"
    )
    config = GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=longest + 2,  # with the start, and the item after the history
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        use_cache=False,
        pad_token_id=vocabulary[padding],
        bos_token_id=vocabulary[start],
        eos_token_id=None,
        **{COUNTS: [counted.get(name, 0) for name in vocabulary]},
    )
    with torch.random.fork_rng(devices=[]), models.quiet():
        torch.manual_seed(seed)
        GPT2LMHeadModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def load(path: Path, config: RunConfig, **arguments: Any) -> Any:
    """Load a checkpoint; `arguments` are values for its configuration."""
    from transformers import AutoModelForCausalLM

    model = models.load(AutoModelForCausalLM, path, (), config.loading, config.training, **arguments)
    model.loss_type = "ForCausalLM"  # transformers does not find it in the name of GPT-2's class, and warns
    return model


def item_counts(folder: Path, tokenizer: Any) -> dict[str, int]:
    """Return how many interactions each item of a model had in train; 0 where its configuration does not say."""
    counts = runs.read_object(folder / "config.json").get(COUNTS) or []
    items = ((name, number) for name, number in tokenizer.get_vocab().items() if number >= len(SPECIAL))
    return {name: int(counts[number]) if number < len(counts) else 0 for name, number in items}


def unknown(items: Sequence[str], tokenizer: Any) -> int:
    """Return how many of some items a model does not know."""
    vocabulary = tokenizer.get_vocab()
    return sum(item not in vocabulary for item in items)


def encode(
    rows: Mapping[str, Sequence[Any]], tokenizer: Any, *, longest: int, exclude_seen: bool
) -> dict[str, list[Any]]:
    """Turn histories, and next items where there are any, into a model's inputs.

    With the next item a row is `<start> h1 … hn item`; attention is causal, so that the ranking, which is read at hn,
    does not depend on it. Unknown items are left out. "labels" are the tokens themselves, which causal models shift:
    -100 where an item is not learned.

    Args:
        rows: "history", and "item" and "_learned" (how many of the last items count) in training and evaluation.
        tokenizer: Its words are the items.
        longest: Items of a history that are read, the last ones.
        exclude_seen: Whether items of the whole history are left out of the ranking.

    Returns:
        "input_ids", "labels" with next items, "last" (the position that is read) and "seen" (the items that are
        excluded).
    """
    vocabulary = tokenizer.get_vocab()
    start = vocabulary[SPECIAL[2]]
    known = [[vocabulary[item] for item in history or () if item in vocabulary] for history in rows["history"]]
    read = [items[-longest:] for items in known]
    features: dict[str, list[Any]] = {
        "input_ids": [[start, *items] for items in read],
        "last": [len(items) for items in read],
        "seen": [items if exclude_seen else [] for items in known],
    }
    if "item" in rows:
        after = [[vocabulary[item]] if item in vocabulary else [] for item in rows["item"]]
        features["input_ids"] = [[*ids, *item] for ids, item in zip(features["input_ids"], after, strict=True)]
        learned = rows.get("_learned") or [1] * len(after)
        features["labels"] = [
            _labels(ids, count if item else count - 1)
            for ids, item, count in zip(features["input_ids"], after, learned, strict=True)
        ]
    return features


def _labels(ids: Sequence[int], learned: int) -> list[int]:
    """Return tokens as labels, the last `learned` of them, and never the start."""
    first = max(1, len(ids) - max(0, learned))
    return [*[_IGNORED] * first, *ids[first:]]


def collate(features: Sequence[Mapping[str, Any]], tokenizer: Any) -> dict[str, Any]:
    """Pad to the longest: input_ids, attention_mask and labels, each (B, T).

    Logits of all positions and items are large. Where no row learns more than its next item, the model is asked for
    those of the positions P that are read, and of the next items after them (`logits_to_keep`, with labels (B, P)).
    """
    read = ("input_ids", "labels")
    inputs = [{name: values for name, values in example.items() if name in read} for example in features]
    batch = pad(inputs, {"input_ids": tokenizer.pad_token_id, "labels": _IGNORED})
    labels = batch.get("labels")
    if "last" not in features[0] or (labels is not None and int((labels != _IGNORED).sum(dim=1).max()) > 1):
        return batch
    import torch

    last = torch.as_tensor([int(example["last"]) for example in features])
    kept: Any = torch.unique(torch.cat([last, last + 1]))  # sorted: the next item follows in what is kept, too
    kept = kept[kept < batch["input_ids"].shape[1]]
    return {**batch, "logits_to_keep": kept, **({} if labels is None else {"labels": labels[:, kept]})}


def ranked(logits: Any, batch: Mapping[str, Any], tokenizer: Any) -> dict[str, list[Any]]:
    """Return the first items of each row's ranking of all items, and their probabilities.

    Args:
        logits: (B, T, V), or (B, P, V) of the positions `logits_to_keep`.
        batch: "last", the position to read, and "seen", the items to exclude, of each row.
        tokenizer: Its words are the items.
    """
    import torch

    last = torch.as_tensor(np.asarray(batch["last"]), device=logits.device)
    kept = batch.get("logits_to_keep")
    if kept is not None and len(kept) == logits.shape[1]:  # graphs compute all positions
        last = torch.searchsorted(kept.to(last.device), last)
    scores = logits[torch.arange(len(last), device=logits.device), last].double()  # (B, V)
    scores[:, : len(SPECIAL)] = -torch.inf
    for row, seen in enumerate(batch["seen"]):
        scores[row, torch.as_tensor(np.asarray(seen, np.int64), device=scores.device)] = -torch.inf
    first, numbers = scores.softmax(dim=-1).nan_to_num(0.0).topk(min(LISTED, scores.shape[1]), dim=-1)  # (B, k)
    first, numbers = first.cpu().numpy(), numbers.cpu().numpy()
    kept = [[place for place, score in enumerate(row) if score > 0] for row in first]
    names = [tokenizer.convert_ids_to_tokens(row[places].tolist()) for row, places in zip(numbers, kept, strict=True)]
    return {
        "prediction": names,
        "probabilities": [row[places].tolist() for row, places in zip(first, kept, strict=True)],
    }
