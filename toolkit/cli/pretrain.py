"""`toolkit pretrain`."""

import shlex
from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, table


def pretrain(
    model: options.Model = None,
    data: options.Data = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder of the checkpoint; a new one under runs/ by default.")
    ] = None,
    assignments: options.Assignments = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Passes over the texts (default 3).")] = None,
    batch_size: options.BatchSize = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Peak step size.")] = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    text_column: options.TextColumn = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Adapt a pretrained model to texts without labels by predicting hidden words; use the result as --model."""
    from toolkit.commands import verbs

    given = options.training_flags(
        model=model,
        data=data,
        batch_size=batch_size,
        max_length=max_length,
        seed=seed,
        text_column=text_column,
        label_column=None,
        trust_remote_code=trust_remote_code,
    )
    given |= {"output": output, "training.epochs": epochs, "training.learning_rate": learning_rate}
    recipe, resolved = verbs.configure("sentiment", options.layers(given, None, None, assignments))
    with Watcher() as watch:
        folder, facts = verbs.pretrain(recipe, resolved, watch)
    before, after = facts["perplexity_before"], facts["perplexity"]
    say(
        f"Perplexity of hidden tokens in {facts['held_out_texts']:,} held-out texts: {before:,.1f} before, "
        f"{after:,.1f} after {facts['training']['steps']:,} steps on {facts['texts']:,} texts."
    )
    say(
        table(
            [("model", str(folder)), ("use", shlex.join(["toolkit", "finetune", "sentiment", "--model", str(folder)]))]
        )
    )
