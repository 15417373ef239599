"""`toolkit pretrain`."""

import shlex
from typing import Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, say_document, table


def pretrain(
    model: options.Model = None,
    data: options.Data = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder of the checkpoint; a new one under runs/ by default.")
    ] = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Epochs: passes over the texts (default 3).")] = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    text_column: options.TextColumn = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Adapt a pretrained model to unlabelled texts by masked language modelling; use the result as --model."""
    given = dict(locals())
    from toolkit.api.call import words
    from toolkit.api.documents.training import Pretrained
    from toolkit.commands.finetune.prepare import configure
    from toolkit.commands.pretrain import pretrain as adapt

    flags = {**words.flags(given), "output": output}
    recipe, resolved = configure("sentiment", words.layers(flags, config_file=config, assignments=assignments))
    with Watcher() as watch:
        folder, facts = adapt(recipe, resolved, watch)
    say_document(lambda: Pretrained.of(folder, facts))
    before, after = facts["perplexity_before"], facts["perplexity"]
    say(
        f"Perplexity of masked tokens in {facts['held_out_texts']:,} held-out texts: {before:,.1f} before, "
        f"{after:,.1f} after {facts['training']['steps']:,} steps on {facts['texts']:,} texts."
    )
    say(
        table(
            [("model", str(folder)), ("use", shlex.join(["toolkit", "finetune", "sentiment", "--model", str(folder)]))]
        )
    )
