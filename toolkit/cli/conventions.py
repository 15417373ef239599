"""Names of options that people know from the scripts of transformers: rewritten before parsing, or answered by name.

An alias is rewritten to the option or the key that it stands for, and one note says so; help and completion list only
the options themselves. Underscores are read as dashes. What has no equivalent is refused with what to type instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.cli.console import note
from toolkit.cli.options import before_arguments
from toolkit.cli.own_options import WithOwnOptions, named_options
from toolkit.distributed.membership import is_main
from toolkit.errors import ConfigError

_CONFIGURES = {"--preset", "--epochs"}  # of commands that take the keys of training
_EVERYWHERE = ("evaluation.",)  # keys of every command with --set


@dataclass(frozen=True)
class Name:
    """What an option of another toolkit stands for. Without an option, a key or a reason to drop it, it is refused.

    Attributes:
        option: The option of the same meaning.
        key: The key of the configuration with the same meaning.
        value: The value of the key where the name is a flag.
        form: How a value is written for the key.
        values: Other words for values.
        dropped: Why the name, a flag, can be left out; whenever `given` is typed too, if that is set.
        given: The option without which a dropped name is refused.
        remark: What differs in meaning.
        instead: What to type where the name is refused.
    """

    option: str = ""
    key: str = ""
    value: str | None = None
    form: str = "{}"
    values: dict[str, str] = field(default_factory=dict)
    dropped: str = ""
    given: str = ""
    remark: str = ""
    instead: str = ""


_PARTS = (
    "name the files train, validation and test with their suffix, put them in one folder, and give --data FOLDER; "
    "`toolkit evaluate RUN --data FILE` evaluates on one file."
)
_TOTAL = "it counts the examples of a step over all devices, not those of each"
_VALIDATED = "leave it out, each epoch is validated, or give --set training.evaluate_every=STEPS."
_STORED = "leave it out, each validation stores a training state; see training.checkpoint_minutes."

NAMES = {
    # model and data
    "--model-name-or-path": Name("--model"),
    "--model-name": Name("--model"),
    "--model-revision": Name(instead="give --model ORG/NAME@REVISION."),
    "--tokenizer-name": Name(instead="leave it out, the tokenizer is the model's."),
    "--config-name": Name(instead="leave it out, the architecture is the model's."),
    "--dataset-name": Name("--data"),
    "--dataset-config-name": Name(instead="give --data ORG/NAME:CONFIG."),
    "--task-name": Name(instead="give --data nyu-mll/glue:NAME."),
    "--train-file": Name("--data", remark="validation and test rows are split off from it"),
    "--validation-file": Name(instead=_PARTS),
    "--test-file": Name("--input", instead=_PARTS),
    "--max-train-samples": Name(key="data.max_train_rows"),
    "--max-seq-length": Name("--max-length"),
    "--max-source-length": Name("--max-length"),
    "--text-column-name": Name("--text-column"),
    "--label-column-name": Name("--label-column"),
    "--source-lang": Name(key="options.source"),
    "--target-lang": Name(key="options.target"),
    # training
    "--num-train-epochs": Name("--epochs"),
    "--num-epochs": Name("--epochs"),
    "--max-steps": Name(instead="give --epochs, which may be a fraction, or --budget TIME."),
    "--lr": Name("--learning-rate"),
    "--per-device-train-batch-size": Name("--batch-size", remark=_TOTAL),
    "--train-batch-size": Name("--batch-size"),
    "--per-device-eval-batch-size": Name(key="evaluation.batch_size"),
    "--eval-batch-size": Name(key="evaluation.batch_size"),
    "--gradient-accumulation-steps": Name(
        instead="give the examples of a whole step with --batch-size, and those of one forward pass with "
        "--set training.micro_batch_size=EXAMPLES."
    ),
    "--weight-decay": Name(key="training.weight_decay"),
    "--warmup-ratio": Name(key="training.warmup_fraction"),
    "--warmup-steps": Name(key="training.warmup_steps"),
    "--lr-scheduler-type": Name(
        key="training.schedule", values={"inverse_sqrt": "inverse-sqrt", "constant_with_warmup": "constant"}
    ),
    "--max-grad-norm": Name(key="training.max_grad_norm"),
    "--adam-beta1": Name(key="training.adam_beta1"),
    "--adam-beta2": Name(key="training.adam_beta2"),
    "--adam-epsilon": Name(key="training.adam_epsilon"),
    "--optim": Name(instead="leave it out, the optimizer is AdamW."),
    "--label-smoothing-factor": Name(key="loss.label_smoothing"),
    "--metric-for-best-model": Name(key="training.best_metric"),
    "--early-stopping-patience": Name(key="training.early_stopping_patience"),
    "--eval-steps": Name(key="training.evaluate_every"),
    "--eval-strategy": Name(instead=_VALIDATED),
    "--evaluation-strategy": Name(instead=_VALIDATED),
    "--save-steps": Name(instead=_STORED),
    "--save-strategy": Name(instead=_STORED),
    "--save-total-limit": Name(instead=_STORED),
    "--logging-steps": Name(instead="leave it out, metrics.jsonl in the run directory holds the losses."),
    "--load-best-model-at-end": Name(dropped="the best weights are always kept"),
    "--do-train": Name(dropped="`finetune` always trains"),
    "--do-eval": Name(dropped="`finetune` always evaluates"),
    "--do-predict": Name(dropped="`finetune` always predicts the test rows"),
    "--use-peft": Name(key="adapter.kind", value="lora"),
    "--lora-r": Name(key="adapter.rank"),
    "--lora-alpha": Name(key="adapter.alpha"),
    "--lora-dropout": Name(key="adapter.dropout"),
    # machine
    "--bf16": Name(key="training.precision", value="bf16"),
    "--fp16": Name(key="training.precision", value="fp16"),
    "--gradient-checkpointing": Name(key="training.gradient_checkpointing", value="true"),
    "--torch-compile": Name(key="training.compile", value="true"),
    "--use-cpu": Name(key="training.device", value="cpu"),
    "--no-cuda": Name(key="training.device", value="cpu"),
    "--fsdp": Name(instead="give --strategy fsdp."),
    "--deepspeed": Name(instead="give --strategy fsdp, which shards the model."),
    "--dataloader-num-workers": Name(instead="leave it out, no worker processes are needed."),
    # output
    "--output-dir": Name("--output"),
    "--overwrite-output-dir": Name(
        instead="give a new --output, or remove the old run with `toolkit runs remove RUN`."
    ),
    "--resume-from-checkpoint": Name(
        "--resume", remark="the run that holds the checkpoint is resumed from its newest state"
    ),
    "--report-to": Name(key="training.trackers", form="[{}]", values={"none": ""}),
    "--hub-model-id": Name("--push-to"),
    "--push-to-hub": Name(dropped="--push-to pushes", given="--push-to", instead="give --push-to ORG/NAME."),
    "--hub-private-repo": Name(dropped="pushes are private"),
    "--hub-token": Name(instead="leave it out, `hf auth login` stores the token."),
    "--disable-tqdm": Name(instead="give --quiet, which prints nothing but results and failures."),
    "--verbose": Name(dropped="progress is shown unless --quiet is given; --debug shows the traceback of a failure"),
}


def described(name: str) -> str:
    """Return what a name stands for, as the documentation lists it."""
    meant = NAMES[name]
    if meant.dropped:
        text = f"left out: {meant.dropped}"
        return f"{text}; otherwise refused: {meant.instead}" if meant.instead else text
    if meant.option or meant.key:
        value = "VALUE" if meant.value is None else meant.value
        text = f"`{meant.option}`" if meant.option else f"`--set {meant.key}={meant.form.format(value)}`"
        text += f"; {meant.remark}" if meant.remark else ""
        return f"{text}; without it: {meant.instead}" if meant.instead else text
    return meant.instead


def rewritten(arguments: Sequence[str], command: Callable[[], Any]) -> list[str]:
    """Return the arguments with every alias replaced by what it stands for; a note on standard error says so.

    Args:
        arguments: What follows the program's name.
        command: Builds the root command, which takes a moment; only called where a name may be an alias.

    Raises:
        ConfigError: A name has no equivalent, or something is given twice.
    """
    words = before_arguments(arguments)
    if not any(_dashed(word) in NAMES or _dashed(word) != word.partition("=")[0] for word in words):
        return [*arguments]
    node, start = command(), 0
    while start < len(words) and hasattr(node, "commands"):
        node = node.commands.get(words[start], node)
        start += 1
    if hasattr(node, "commands") or not node.context_settings.get("allow_interspersed_args", True):
        return [*arguments]  # no command, or one with the arguments of another
    rewriting = _Rewriting(node, words[start:])
    result = rewriting.result()
    if rewriting.notes and is_main():
        note(f"  note: read {', '.join(rewriting.notes)}.")
    return [*arguments[:start], *result, *arguments[len(words) :]]


def _dashed(word: str) -> str:
    """Return the name of an option with dashes; other words as they are, up to an equals sign."""
    name = word.partition("=")[0]
    return f"--{name[2:].replace('_', '-')}" if name.startswith("--") else name


class _Rewriting:
    """The words of one command, rewritten one after the other.

    Attributes:
        notes: What was rewritten.
    """

    def __init__(self, command: Any, words: Sequence[str]) -> None:
        options = [item for item in command.params if item.param_type_name == "option"]
        self.notes: list[str] = []
        self._command = command.name
        self._own = {name: item for item in options for name in item.opts}
        self._recipe = named_options(words) if isinstance(command, WithOwnOptions) else set()
        self._words = list(words)
        self._given = _given(words, self._own)
        self._refused: dict[str, str] = {}  # name → what to type instead

    def result(self) -> list[str]:
        """Return the new words.

        Raises:
            ConfigError: With every name that has no equivalent, or with what is given twice.
        """
        result: list[str] = []
        while self._words:
            result += self._next()
        if self._refused:
            raise ConfigError(
                f"`toolkit {self._command}` does not take {', '.join(f'`{name}`' for name in self._refused)}.",
                " ".join(f"{name}: {instead}" for name, instead in self._refused.items()),
                id="config.foreign-option",
            )
        return result

    def _next(self) -> list[str]:
        """Take the next word, and its value where it has one; return what replaces them."""
        word = self._words.pop(0)
        name, equals, value = word.partition("=")
        dashed = _dashed(word)
        if dashed in self._own:
            if dashed != name:
                self.notes.append(f"{name} as {dashed}")
            taken = [] if equals or self._own[dashed].is_flag else self._words[:1]
            del self._words[: len(taken)]
            return [f"{dashed}{equals}{value}", *taken]
        if dashed not in NAMES or dashed[2:].replace("-", "_") in self._recipe:
            return [word]
        return self._replaced(name, NAMES[dashed], value if equals else None)

    def _replaced(self, name: str, meant: Name, value: str | None) -> list[str]:
        if meant.dropped or meant.value is not None:
            return self._replaced_flag(name, meant, value)
        if meant.option in self._own:
            typed = self._value(name, value)
            if meant.option == "--resume":
                return self._resumed(name, typed, meant)
            return self._read(name, meant.option, [meant.option, typed], meant.remark)
        if meant.key and self._takes(meant.key):
            typed = self._value(name, value)
            return self._assigned(name, meant.key, meant.form.format(meant.values.get(typed, typed)))
        return self._refuse(
            name, meant.instead or f"it stands for {meant.option or meant.key}, which is not taken here."
        )

    def _replaced_flag(self, name: str, meant: Name, value: str | None) -> list[str]:
        if value is None and self._words and self._words[0].lower() in ("true", "false"):
            value = self._words.pop(0)
        if value is not None and value.lower() != "true":
            other = f", or give --set {meant.key}=VALUE" if meant.key else ""
            return self._refuse(f"{name} {value}", f"leave it out{other}.")
        if meant.value is not None:
            if self._takes(meant.key):
                return self._assigned(name, meant.key, meant.value)
            return self._refuse(name, f"it stands for {meant.key}, which is not taken here.")
        if meant.given and not self._is_given(meant.given):
            return self._refuse(name, meant.instead)
        self.notes.append(f"nothing for {name} ({meant.dropped})")
        return []

    def _resumed(self, name: str, value: str, meant: Name) -> list[str]:
        """Return the options that resume the run in which a checkpoint lies."""
        if value.lower() == "true":
            return self._read(name, "--resume", ["--resume"])
        place = Path(value)
        run = next((folder for folder in (place, *place.parents) if (folder / "run.json").is_file()), None)
        if run is None:
            return self._refuse(name, f"{value} is in no run directory: give --resume, and --output with the run.")
        if self._is_given("--output"):
            return self._refuse(name, f"give --resume and --output {run}: a run is resumed where it is.")
        return self._read(name, "--resume", ["--resume", "--output", str(run)], meant.remark)

    def _takes(self, key: str) -> bool:
        """Whether the command takes a key: those of training only where something is trained."""
        return "--set" in self._own and (key.startswith(_EVERYWHERE) or bool(_CONFIGURES & self._own.keys()))

    def _is_given(self, option: str) -> bool:
        return option in self._given or any(NAMES[name].option == option for name in self._given & NAMES.keys())

    def _value(self, name: str, value: str | None) -> str:
        if value is None and not self._words:
            raise ConfigError(f"`{name}` needs a value.", "Give the value after it.", id="config.command-line")
        return self._words.pop(0) if value is None else value

    def _assigned(self, name: str, key: str, value: str) -> list[str]:
        return self._read(name, key, ["--set", f"{key}={value}"])

    def _read(self, name: str, target: str, words: list[str], remark: str = "") -> list[str]:
        """Return the words that replace a name, once for each option or key."""
        aliases = {alias for alias, meant in NAMES.items() if meant.option == target or meant.key == target}
        if target in self._given - aliases or len(self._given & aliases) > 1:
            raise ConfigError(f"`{target}` is given twice, once as `{name}`.", "Give it once.", id="config.given-twice")
        shown = words[0] if words[0] != "--set" else f"--set {target}"
        self.notes.append(f"{name} as {shown}{f' ({remark})' if remark else ''}")
        return words

    def _refuse(self, name: str, instead: str) -> list[str]:
        self._refused[name] = instead
        return []


def _given(words: Sequence[str], own: dict[str, Any]) -> set[str]:
    """Return the options, the keys of --set and the aliases that are typed."""
    given = set()
    for before, word in zip(("", *words), words, strict=False):
        assigned = word if before == "--set" else word.removeprefix("--set=") if word.startswith("--set=") else ""
        name = _dashed(word)
        given.add(assigned.partition("=")[0].strip() if assigned else own[name].opts[0] if name in own else name)
    return given
