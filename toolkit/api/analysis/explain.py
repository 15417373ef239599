"""`explain`: which words or patches a prediction depends on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results.report import framed
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.commands.explain.inputs import read_inputs, reads_pictures
from toolkit.commands.explain.request import EXAMPLES, ExplanationRequest
from toolkit.commands.explain.run import explain as explain_inputs
from toolkit.commands.explain.run import measure as measure_methods
from toolkit.commands.explain.store import command as measuring_command
from toolkit.commands.predict.inputs import examples
from toolkit.errors import ConfigError, DataError, RunError
from toolkit.report.pages.attention.explanation import top_words


class Explanation:
    """Explained predictions, which a notebook shows as a page; or only the measurement of the methods.

    Args:
        path: The folder; None where methods were measured and nothing was explained.
        content: The content of explanation.json, or for a measurement its "verdict".
    """

    def __init__(self, path: Path | None, content: Mapping[str, Any]) -> None:
        self._path = path
        self.content = content

    @property
    def path(self) -> Path:
        """The folder.

        Raises:
            RunError: Nothing was explained.
        """
        if self._path is None:
            raise RunError(
                "Methods were measured, but nothing was explained.",
                "Give a text to explain.",
                id="config.nothing-given",
            )
        return self._path

    @property
    def verdict(self) -> Mapping[str, Any]:
        """The reliability of the methods: "headline", "statements" and "warnings"."""
        verdict: Mapping[str, Any] = self.content["verdict"]
        return verdict

    @property
    def top_words(self) -> list[list[tuple[str, float]]]:
        """The words or patches with the highest scores of each text or picture, by the first method."""
        if "methods" not in self.content:
            return []
        method = self.content["methods"][0]["name"]
        return [top_words(text, method) for text in self.content["texts"]]

    def __repr__(self) -> str:
        return f"<Explanation {self._path or 'of nothing'}: {self.verdict['headline']}>"

    def _repr_html_(self) -> str | None:
        if self._path is None:
            return None
        return framed((self.path / "explanation.html").read_text(encoding="utf-8"), scripts=True)


def explain(
    run: Any,
    texts: str | Path | Sequence[str | Path | tuple[str, ...]] | None = None,
    *,
    file: str | Path | None = None,
    method: str | Sequence[str] | None = None,
    word: int | None = None,
    class_: str | None = None,
    measure: bool = False,
    rows: int | None = None,
    png: bool = False,
    gold: str | Path | None = None,
    minutes: float | None = None,
    data: Any = None,
    recipe: str | None = None,
    output: str | Path | None = None,
    text_column: str | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> Explanation:
    """Show which words or patches a prediction depends on; for translations, show the word alignment.

    Args:
        run: A run, the path of its directory, a folder or a Hub id.
        texts: One text or several, or files of pictures; for pairs of texts tuples, or the two texts one after the
            other.
        file: Many: a text a line (.txt), a table, or a folder of pictures.
        method: One or several, or "all"; the most faithful one when None.
        word: Number of the word whose label is explained, from 1, where each word has a label; the first word of each
            predicted entity when None.
        class_: Name of the class to explain; the predicted ones when None.
        measure: Measure once how faithful the methods are, and keep the result.
        rows: Number of held-out examples to measure on.
        png: Also draw a PNG file for each.
        gold: Manual alignments of the pairs in `file`.
        minutes: Time limit; results until then are kept.
        data: Examples to measure on, as `finetune` takes data.
        recipe: The task of a model that was not trained here, or the file of its recipe.
        output: Folder to write; inside the run, or under runs/, when None.
        text_column: Column that holds the text.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "data": tables.stored(data)}
    del given["run"], given["texts"]
    typed = [texts] if isinstance(texts, str | Path) else list(texts or ())
    for number, text in enumerate(typed, start=1):
        if not str(text).strip():
            raise DataError(f"Input {number} is empty.", "Give a sentence, or leave it out.", id="data.empty-text")
    number = rows if rows is not None else EXAMPLES if measure else 0
    if data is not None and not number:
        raise ConfigError(
            "--data gives examples to measure the methods on, and nothing is to be measured.",
            "Add --measure, or remove --data.",
            id="config.conflict",
        )
    target = words.target_of(run)
    values = words.merged(words.flags(given), words.assignments(set), config)
    methods = (method,) if isinstance(method, str) else tuple(method or ())
    echoed = [str(value) for item in typed for value in (item if isinstance(item, tuple) else (item,))]
    with called(progress, "explain", [target, *echoed], given) as caller:
        subject = prepare_evaluation(target, values, recipe, caller.observe, needs_rows=bool(number))
        inputs = _inputs(typed, file, subject)
        if not inputs and not number:
            raise ConfigError(
                "There are no inputs to explain.",
                'Give a text after the run, "in quotes", a picture, or a --file.',
                id="config.nothing-given",
            )
        again = measuring_command(target, has_data=subject.run is not None)
        request = ExplanationRequest(
            inputs, methods, number, png, None if gold is None else Path(gold), minutes, again, word, class_
        )
        if not inputs:
            return Explanation(None, {"verdict": measure_methods(subject, request, caller.observe)})
        place = None if output is None else str(output)
        folder, content = explain_inputs(subject, request, place, caller.command, caller.observe)
    return Explanation(folder, content)


def _inputs(typed: Sequence[Any], file: str | Path | None, subject: EvaluationInputs) -> list[Any]:
    """Return the texts, or the pictures at the given paths."""
    inputs: list[Any]
    if reads_pictures(subject):
        inputs = [picture for path in typed for picture in read_inputs(Path(path), subject)]
    else:
        texts = [tuple(map(str, item)) if isinstance(item, tuple) else str(item) for item in typed]
        inputs = list(examples(texts, subject.recipe.task.inputs))
    return inputs + (read_inputs(Path(file), subject) if file is not None else [])
