"""`toolkit explain`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, note, say, say_document, table

_PRINTED = 5  # texts; the HTML page has all


def explain(
    run: Annotated[
        str,
        completion.model_argument("RUN", "Run directory, folder or Hub id."),
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[INPUT]...", help="Texts, or pictures; of pairs both texts.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Many inputs: .txt with one text per line, a table, or a folder of pictures."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", help="Explain by this method, or by `all`; repeatable. The most faithful one when not given."
        ),
    ] = None,
    word: Annotated[
        int | None,
        typer.Option(
            "--word",
            min=1,
            help="Where each word has a label: number of the word to explain, from 1; each predicted entity when not "
            "given.",
        ),
    ] = None,
    class_: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="Explain this class; the predicted ones when not given."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the faithfulness of the methods once, and store the result.")
    ] = False,
    rows: Annotated[
        int | None,
        typer.Option("--rows", min=0, help="Number of held-out examples for the measurement; 60 with --measure."),
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Also write a PNG file for each.")] = False,
    gold: Annotated[
        Path | None,
        typer.Option("--gold", help="Manual alignments of the pairs in --file: a line such as 0-0 1-2 for each."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, help="Time limit; results until then are kept.")
    ] = None,
    data: options.Data = None,
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    text_column: options.TextColumn = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Show which words or patches a prediction depends on; for translations, show the word alignment.

    The default method is the most faithful one that was measured for this model; without a measurement, each word is
    left out in turn. `--measure` measures the methods on held-out rows: the top words or patches are removed, or only
    they are kept, in comparison with random ones; and the weights are randomized, to see whether the explanation
    changes. It takes minutes, once for a run, and needs no input.
    """
    given = dict(locals())
    from toolkit.api.analysis import explain as api
    from toolkit.api.documents.explanation import Explained

    with Watcher() as watch:
        explanation = api.explain(**given, progress=options.caller(watch))
    say_document(lambda: Explained.of(explanation))
    if "texts" not in explanation.content:
        _print_verdict(explanation.verdict)
        return
    _print(explanation.content)
    say(f"\npage  {explanation.path / 'explanation.html'}")


def _print(content: Mapping[str, Any]) -> None:
    """Print the top words by the first method, the most faithful of those shown, and its reliability."""
    from toolkit.report.pages.attention.explanation import top_words

    if content["unit"] == "link":
        _print_alignment(content)
        return
    first = content["methods"][0]
    for text in content["texts"][:_PRINTED]:
        asked = text.get("asked")
        word = f" of word {asked['number']}, “{asked['word']}”" if asked else ""
        kind = "confidence" if text["predicted"] else "not predicted, probability"
        probability = text.get("calibrated_probability", text["probability"])
        sure = "" if content["of_numbers"] else f", {kind} {100 * probability:.1f} %"
        say(f"\n{text['text']}\n  {text['prediction']}{word}{sure}")
        top = top_words(text, first["name"])
        digits = "+.4g" if content["of_numbers"] else "+.3f"
        say(table([(f"  {word}", f"{score:{digits}}") for word, score in top]))
    if len(content["texts"]) > _PRINTED:
        note(f"  note: {len(content['texts']) - _PRINTED} more are in the HTML page.")
    if content["regions"]:
        result = content["regions"][first["name"]]
        say(
            f"\nIn {result['pictures']} pictures with a box, the top patch is on the object in "
            f"{100 * result['pointing']['value']:.1f} %; the regions overlap with the boxes by "
            f"{100 * result['overlap']['value']:.1f} %, a box in the middle by {100 * result['middle']['value']:.1f} %."
        )
    say(f"\nMethod: {first['title']} ({first['about']}).")
    _print_verdict(content["verdict"])


def _print_alignment(content: Mapping[str, Any]) -> None:
    """Print the word alignment of the first translations."""
    for text in content["texts"][:_PRINTED]:
        say(f"\n{text['source']}\n{text['translation']}")
        linked = [
            (f"  {text['target_words'][target]}", text["source_words"][source]) for source, target in text["links"]
        ]
        say(table(linked))
    if len(content["texts"]) > _PRINTED:
        note(f"  note: {len(content['texts']) - _PRINTED} more are in the HTML page.")
    say(f"\nMethod: {content['reading']}.")
    _print_verdict(content["verdict"])


def _print_verdict(verdict: Mapping[str, Any]) -> None:
    say(verdict["headline"])
    for line in (*verdict["statements"], *verdict["warnings"]):
        say(f"  {line}")
