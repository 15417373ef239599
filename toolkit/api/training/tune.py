"""`tune`: a hyperparameter search."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.commands.finetune.prepare import configure, prepare
from toolkit.commands.tune import search as command
from toolkit.commands.tune.search_space import build
from toolkit.config.files import read_file
from toolkit.errors import ConfigError
from toolkit.events import Begun, Note


def tune(
    recipe: str | Path,
    *,
    trials: int = 20,
    search: Mapping[str, str] | Sequence[str] | None = None,
    space: str | Path | None = None,
    model: str | Path | None = None,
    data: Any = None,
    output: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    batch_size: int | None = None,
    max_length: int | None = None,
    seed: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    target: str | None = None,
    trust_remote_code: bool = False,
    progress: bool | Caller = True,
) -> command.Search:
    """Search hyperparameters by the validation metric; repeating the call resumes its search.

    Args:
        recipe: Name of a recipe, or the path of a recipe file.
        trials: Trainings in all, earlier ones included.
        search: Key → "LOW..HIGH", "LOW..HIGH:log" or "A|B|C", or texts KEY=…
        space: YAML file of the same.
        model: Alias, Hub id, folder or pkg://package/path.
        data: As `finetune` takes it.
        output: Folder of the search; one under runs/ that the same call finds again when None.
        preset: Named values that come with the toolkit.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        batch_size: Examples that an optimizer step sees.
        max_length: Tokens that an example may have.
        seed: Seed of everything random.
        text_column: Column that holds the text.
        label_column: Column that holds the label.
        target: What the label column holds: class, classes, stars or number; inferred when not given.
        trust_remote_code: Run Python code that comes with the checkpoint.
        progress: Whether to show a bar.

    Returns:
        Trials, the best of them, and `preset`, the file of its values for `finetune(config=…)`.

    Raises:
        ToolkitError: As the command line prints it.
    """
    given = {**locals(), "data": tables.stored(data)}
    del given["recipe"]
    if output is not None:
        runs.check_writable(Path(output))
    layers = words.layers(words.flags(given), preset, config, words.assignments(set))
    loaded, resolved = configure(str(recipe), layers)
    wanted = {**(read_file(Path(space)) if space else {}), **_searched(search)}
    with called(progress, "tune", [str(recipe)], given) as caller:
        prepared = prepare(loaded, resolved, caller.observe)
        for text in prepared.notes:
            caller.observe(Note(text))
        ranges = build(prepared.resolved, wanted)
        folder = Path(output) if output else command.folder_of(prepared, ranges)
        caller.observe(Begun("search", folder))
        return command.tune(prepared, ranges, folder, trials, caller.command, caller.observe)


def _searched(given: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """Return key → values to search.

    Raises:
        ConfigError: A text is not KEY=VALUES.
    """
    if isinstance(given, Mapping):
        return dict(given)
    ranges = {}
    for text in given or ():
        key, mark, written = text.partition("=")
        if not (key.strip() and mark and written.strip()):
            raise ConfigError(
                f"`--search {text}` is not KEY=VALUES.",
                "Write for example --search dropout=0..0.3.",
                id="config.malformed-value",
            )
        ranges[key.strip()] = written
    return ranges
