"""`predict`: some inputs, or every row of a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from toolkit.api.call import words
from toolkit.api.call.caller import Caller, called
from toolkit.api.results import PredictedFile, Prediction
from toolkit.commands.predict.answer_options import AnswerOptions
from toolkit.commands.predict.inputs import predict_inputs
from toolkit.commands.predict.run import predict as predict_rows
from toolkit.errors import ConfigError

Settings = Mapping[str, Any] | Sequence[str]
Typed = str | Path | Sequence[str | Path | tuple[str, ...]]
Tell = Callable[[dict[str, Any]], None]


@overload
def predict(
    run: Any,
    inputs: Typed,
    *,
    recipe: str | None = None,
    all_scores: bool = False,
    max_error: float | None = None,
    sets: float | None = None,
    sets_by_class: bool = False,
    text_column: str | None = None,
    max_length: int | None = None,
    config: str | Path | None = None,
    set: Settings | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> list[Prediction]: ...
@overload
def predict(
    run: Any,
    inputs: None = None,
    *,
    input: str | Path,
    output: str | Path | Tell,
    recipe: str | None = None,
    all_scores: bool = False,
    max_error: float | None = None,
    sets: float | None = None,
    sets_by_class: bool = False,
    explain: bool = False,
    text_column: str | None = None,
    max_length: int | None = None,
    config: str | Path | None = None,
    set: Settings | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> PredictedFile: ...


def predict(
    run: Any,
    inputs: Typed | None = None,
    *,
    input: str | Path | None = None,
    output: str | Path | Tell | None = None,
    recipe: str | None = None,
    all_scores: bool = False,
    max_error: float | None = None,
    sets: float | None = None,
    sets_by_class: bool = False,
    explain: bool = False,
    text_column: str | None = None,
    max_length: int | None = None,
    config: str | Path | None = None,
    set: Settings | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> list[Prediction] | PredictedFile:
    """Predict some inputs, or every row of a file; predictions are in the order of the rows.

    The model is loaded for each call; `load` keeps it between calls. An interrupted call on a file resumes when it is
    repeated.

    Args:
        run: A run, the path of its directory, a folder or a Hub id.
        inputs: Texts, or files of pictures; for pairs of texts tuples, or the two texts one after the other.
        input: Instead of inputs: text lines, CSV, TSV, JSON lines, Parquet, .po or a folder of pictures.
        output: The file to write for `input`: CSV, TSV, JSON lines or Parquet by its suffix; or a function that is
            called with each row and its prediction.
        recipe: The task of a model that was not trained here, or the file of its recipe.
        all_scores: Return the score of every class.
        max_error: Answer only where at most this share of the answers is wrong; `abstained` says why not.
        sets: Return sets of classes, which hold the true one for this share of the rows.
        sets_by_class: They do for the rows of each class.
        explain: Also write an explanation of each prediction; many times slower.
        text_column: Column that holds the text.
        max_length: Tokens that an input may have.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "output": "-" if callable(output) else output}
    del given["run"], given["inputs"]
    target = words.target_of(run)
    values = words.merged(words.flags(given), words.assignments(set), config)
    typed = [inputs] if isinstance(inputs, str | Path) else list(inputs or ())
    wanted = AnswerOptions(all_scores, max_error, sets, sets_by_class)
    wanted.check()
    with called(progress, "predict", [target], given) as caller:
        if typed and not (input or output or explain):
            texts = [tuple(map(str, item)) if isinstance(item, tuple) else str(item) for item in typed]
            answers, kind = predict_inputs(target, texts, values, recipe, caller.observe, wanted=wanted)
            return [Prediction.of(answer["input"], answer, kind) for answer in answers]
        source, place, receive = _places(typed, input, output)
        return predict_rows(
            target,
            source,
            place,
            values,
            recipe,
            caller.observe,
            explained=explain,
            wanted=wanted,
            receive=receive,
            command=caller.command,
        )


def _places(
    typed: Sequence[object], source: str | Path | None, output: str | Path | Tell | None
) -> tuple[str, Path, Tell | None]:
    """Return the input file, the output file, and the function that receives rows instead.

    Raises:
        ConfigError: One of them is not named, or inputs are typed as well.
    """
    if typed:
        raise ConfigError(
            "Predictions of inputs on the command line are printed; --input, --output and --explain are for files.",
            "Remove these options, or write the inputs to a file.",
            id="config.conflict",
        )
    if source is None or output is None:
        missing = "--input" if source is None else "--output"
        raise ConfigError(
            f"There is nothing to predict: {missing} is missing.",
            'Give a text after the model, as in `toolkit predict RUN "a text"`, or give --input FILE --output FILE.',
            id="config.nothing-given",
        )
    if isinstance(output, str | Path):
        return str(source), Path(output), None
    return str(source), Path("-"), output
