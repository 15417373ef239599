"""Every failure that a user can cause, with its fix.

Each has an identifier, which stays the same when its sentence is reworded: `error_catalogue.yaml` lists them all.

ToolkitError              an identifier, a problem and the next step; the command line prints all three
├── CallError             exit code 2: nothing was started; the call, the config or the input must change
│   ├── ConfigError       a key or a value of the configuration
│   ├── RecipeError       a recipe that does not exist or lacks a part
│   ├── SourceError       a model or data set that cannot be found or reached
│   ├── DataError         a table that cannot be read or does not fit the task
│   └── ModelError        a checkpoint that cannot be loaded, or not safely
├── RunError              exit code 1: the run had begun and could not continue
│   └── ProcessLost       another process of the same run ended
└── Interrupted           exit code 130, as shells expect: Ctrl-C
"""

EXIT_CODES = {  # code → when a command ends with it
    0: "The command succeeded.",
    1: "A run that had begun failed, or the machine did; `doctor` found a fault; a question was answered with no.",
    2: "The call, the configuration, the data or the model cannot be used; nothing was started.",
    3: "The command succeeded and its decision is negative: the gate of `compare` is not passed, or the rows of "
    "`watch` are shown to differ.",
    75: "One of several processes that a launcher started ended because another one failed, which reports the cause; "
    "`toolkit` itself ends with the code of the other.",
    130: "Ctrl-C; in training and in predictions of a file also SIGTERM.",
    141: "The reader of standard output closed it, as `head` does.",
}


class ToolkitError(Exception):
    """A problem that a user can fix.

    Args:
        problem: What is wrong and where, in one or two sentences.
        fix: What to do next; shown on a line of its own.
        id: Names the cause, as AREA.NAME; the general identifier of the class when not given, as in older recipes.
    """

    exit_code = 1
    general_id = "run.other"

    def __init__(self, problem: str, fix: str, *, id: str | None = None) -> None:  # noqa: A002 - as `--json` names it
        super().__init__(problem, fix)
        self.problem = problem
        self.fix = fix
        self.id = id or self.general_id

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}"


class CallError(ToolkitError):
    """The call itself must change; nothing was started."""

    exit_code = 2
    general_id = "config.other"


class ConfigError(CallError):
    """A key or a value of the configuration is wrong."""


class RecipeError(CallError):
    """A recipe does not exist or lacks a part."""

    general_id = "recipe.other"


class SourceError(CallError):
    """A model or a data set cannot be found or reached."""

    general_id = "source.other"


class DataError(CallError):
    """A table cannot be read, or does not fit the task."""

    general_id = "data.other"


class ModelError(CallError):
    """A checkpoint cannot be loaded, or not safely."""

    general_id = "model.other"


class RunError(ToolkitError):
    """The run had begun and could not continue."""


class ProcessLost(RunError):
    """Another process of the same run ended, or cannot be reached."""

    general_id = "process.lost"


class Interrupted(ToolkitError):
    """The user pressed Ctrl-C during a run."""

    exit_code = 130
    general_id = "run.interrupted"
