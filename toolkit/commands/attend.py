"""Trace the computation of attention in a checkpoint."""

from pathlib import Path
from typing import Any

from toolkit import checkpoints, model_metadata, models, runs
from toolkit.attention.implementations import sparse
from toolkit.attention.walk import Walk, walk
from toolkit.config import resolve
from toolkit.config.settings import LoadingConfig
from toolkit.report.pages.attention import walkthrough


def attend(
    model: str, text: str, *, layer: int = 1, head: int = 1, loading: LoadingConfig, page: Path | None = None
) -> Walk:
    """Trace `text` through one attention head.

    Args:
        model: Alias, Hub id, folder, run directory or pkg://package/path.
        text: A sentence.
        layer: Counted from 1.
        head: Counted from 1.
        loading: What the checkpoint may do.
        page: Where to write the HTML page, if anywhere.

    Raises:
        SourceError: There is no such model.
        ModelError: It reads no text, or its attention cannot be recorded.
        ConfigError: There is no such layer or head.
    """
    checkpoint = checkpoints.locate(model, loading)
    stored = ("model", model_metadata.values(model_metadata.read(checkpoint.path)))
    attention = resolve([("command", {"recipe": "-"}), stored]).config.attention
    tokenizer: Any = models.load_tokenizer(checkpoint.path, loading)
    bare = models.load_bare(checkpoint.path, loading)
    sparse.use(bare, attention)
    trace = walk(bare, tokenizer, text, layer, head)
    if page is not None:
        runs.write_text(page, walkthrough.to_html(trace, model, text))
    return trace
