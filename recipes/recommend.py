"""Recommend the next item from a history, by self-attention over items (SASRec).

Learns from a log of interactions with a user, an item and a time, and an optional rating; or from a table with a list
of items and the next item in each row. The log is divided by time, all items are ranked, and the model is compared with
popularity, item neighbours and a Markov chain (Kang and McAuley 2018, "Self-Attentive Sequential Recommendation").
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from toolkit import models
from toolkit.config import DataConfig, RunConfig
from toolkit.data.interactions.arrange import LogSettings
from toolkit.data.interactions.arrange import arrange as arrange_log
from toolkit.data.interactions.division import Division
from toolkit.evaluation.baselines.items import item_neighbours, most_frequent_successor, most_popular
from toolkit.families import recommender
from toolkit.metrics.ranking import LISTED
from toolkit.tasks.contract import Tables
from toolkit.tasks.inputs.history import HISTORY, LEARNED, RATING, TIME, USER
from toolkit.tasks.targets.item import ITEM
from toolkit.tasks.task import Column

DEFAULTS: dict[str, Any] = {
    "model": "from-scratch",
    "data": {"source": "interactions.csv", "max_length": 50},
    "training": {"best_metric": "ndcg_10", "micro_batch_tokens": 4096},
    "evaluation": {"batch_size": 32},
}

COLUMNS = (
    Column("history", ("history", "items", "sequence", "item_list", "session"), HISTORY),
    Column(
        "item",
        (
            *(
                "item",
                "item_id",
                "itemid",
                "next_item",
                "next",
                "movie_id",
                "movieid",
                "movie",
                "product",
                "product_id",
            ),
            *("productid", "article_id", "track_id", "song_id", "book_id", "isbn", "asin", "parent_asin", "title"),
        ),
        ITEM,
    ),
    Column(
        "user",
        (
            "user",
            "user_id",
            "userid",
            "customer",
            "customer_id",
            "customerid",
            "session_id",
            "visitor_id",
            "reviewer_id",
        ),
        USER,
        required=False,
    ),
    Column(
        "time",
        ("time", "timestamp", "date", "datetime", "created_at", "unix_time", "event_time", "unixreviewtime"),
        TIME,
        required=False,
    ),
    Column("rating", ("rating", "ratings", "stars", "score", "overall"), RATING, required=False),
    Column("_learned", ("_learned",), LEARNED, required=False),
)

METRICS = ("ndcg_10", "hit_rate_10", "mrr_20")

BASELINES = {
    "Popularity": most_popular,
    "Item neighbours": item_neighbours,
    "Most frequent successor": most_frequent_successor,
}


class Options(BaseModel):
    """The recipe's own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Division = Field(
        "time",
        description="How a log is divided: time, at one time for all users; or leave-one-out, each user's last item",
    )
    min_rating: float | None = Field(
        None, description="Leave out interactions with a lower rating; keep all if not set"
    )
    exclude_seen: bool = Field(True, description="Leave items of the history out of the ranking")
    top: int = Field(10, ge=1, le=LISTED, description="Items that predict and serve return")
    test_rows: int = Field(50_000, ge=1, description="Most test rows, of users drawn at random")
    validation_rows: int = Field(2_000, ge=1, description="Most validation rows, of users drawn at random")
    width: int = Field(64, ge=4, multiple_of=4, description="Size of the embedding of an item")
    layers: int = Field(2, ge=1, description="Layers of the model")
    heads: int = Field(2, ge=1, description="Attention heads of each layer; they divide the width")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout of embeddings and hidden states")


def arrange(
    parts: Mapping[str, pa.Table], config: DataConfig, options: Mapping[str, Any], *, divide: bool
) -> Tables | None:
    """Make histories of a log, and divide them by time."""
    settings = LogSettings(
        split=options["split"],
        validation=config.validation_fraction,
        test=config.test_fraction,
        longest=config.max_length,
        least_rating=options["min_rating"],
        most_rows={"validation": options["validation_rows"], "test": options["test_rows"]},
        exclude_seen=options["exclude_seen"],
    )
    return arrange_log(parts, COLUMNS, config.columns, settings, divide=divide)


def start(rows: pa.Table, folder: Path, config: RunConfig) -> None:
    """Write a small model with random weights, whose vocabulary is the items of the training rows."""
    batches = (batch.to_pylist() for batch in rows.select(["history", "item"]).to_batches(max_chunksize=10_000))
    sequences = ([*row["history"], row["item"]] for batch in batches for row in batch)
    shape = {key: config.options[key] for key in ("width", "layers", "heads", "dropout")}
    recommender.write_untrained(sequences, folder, **shape, longest=config.data.max_length, seed=config.training.seed)


def remarks(rows: pa.Table, processor: Any, config: RunConfig) -> list[str]:
    """Count the training rows whose next item an earlier model does not know."""
    unknown = recommender.unknown(rows["item"].to_pylist(), processor)
    return [f"{unknown:,} training rows have a next item that is not in the model's catalogue."] if unknown else []


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the tokenizer, whose words are the items."""
    return models.load_tokenizer(path, config.loading)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Number the items of histories, the last `data.max_length` of them."""
    exclude = config.options.get("exclude_seen", True)
    return recommender.encode(rows, processor, longest=config.data.max_length, exclude_seen=exclude)


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint."""
    return recommender.load(path, config, **arguments)


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Pad to the longest: input_ids, attention_mask and labels, each (B, T)."""
    return recommender.collate(features, processor)


def predictions(outputs: Any, batch: Mapping[str, Any], processor: Any) -> dict[str, list[Any]]:
    """Logits (B, T, V) → the first items of each ranking, and their probabilities."""
    return recommender.ranked(outputs.logits, batch, processor)
