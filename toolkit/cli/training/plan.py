"""`toolkit plan`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, say_document, table

if TYPE_CHECKING:
    from toolkit.commands.plan.run import Elsewhere, Plan

_ORDER = ("weights", "gradients", "moments", "activations", "rest")


def plan(
    recipe: options.Recipe,
    model: options.Model = None,
    data: options.Data = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    max_length: options.MaxLength = None,
    attention: options.Attention = None,
    seed: options.Seed = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    target: options.Target = None,
    group_column: options.GroupColumn = None,
    time_column: options.TimeColumn = None,
    streaming: options.Streaming = False,
    trust_remote_code: options.TrustRemoteCode = False,
    from_scratch: options.FromScratch = False,
    glossary: options.Glossary = None,
) -> None:
    """Estimate memory, time and energy of `finetune` with the same options, here and on other devices.

    A few optimizer steps are measured on this machine; other devices are estimated from their published peaks.
    """
    given = dict(locals())
    from toolkit.api.documents.plan import Planned
    from toolkit.api.training.plan import plan as api

    command = options.command_line("finetune")
    with Watcher() as watch:
        planned = api(**given, progress=options.caller(watch))
    document = Planned.of(planned, command)
    say_document(lambda: document)
    _say(planned, document.train)


def _say(plan: "Plan", train: str) -> None:
    here = plan.here
    seconds = here.seconds
    per_row = "" if plan.tokens is None else f" of {plan.tokens:.0f} tokens on average"
    say(
        f"{plan.parameters:,} parameters, {plan.trainable:,} of them trained; {plan.steps:,} optimizer steps of "
        f"{plan.batch_size} from {plan.rows:,} rows{per_row}."
    )
    say(f"\nThis machine ({here.device}, {here.precision}), from {here.measured_steps} measured steps:")
    rows = [(name, _size(getattr(here.memory, name))) for name in _ORDER]
    say(table([*rows, ("memory in all", f"{_size(here.memory.total)} of {_size(here.limit)}")]))
    times = [(name, _time(value)) for name, value in seconds.parts.items()]
    say(table([*times, ("time in all", _time(seconds.total))]))
    energy = here.meter if here.joules is None else f"{_energy(here.joules)} ({here.meter})"
    say(table([("energy", energy), ("micro-batch", _micro(here.micro_batch_size, here.accumulation))]))
    say("\nOther devices, estimated from published peaks and not checked; training and validation alone:")
    say(_devices(plan.elsewhere))
    say(f"\ntrain  {train}")


def _devices(fits: "Sequence[Elsewhere]") -> str:
    cells = [("device", "precision", "memory", "micro-batch", "time", "energy, at most")]
    for fit in fits:
        took = "" if fit.seconds is None else f"{_time(fit.seconds[0])} to {_time(fit.seconds[1])}"
        used = "" if fit.joules is None else f"{_energy(fit.joules[0])} to {_energy(fit.joules[1])}"
        memory = f"{_size(fit.memory.total)} of {_size(fit.limit)}"
        micro = _micro(fit.micro_batch_size, fit.accumulation)
        cells.append((fit.device, fit.precision, memory, micro, took, used))
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _micro(size: int | None, accumulation: int | None) -> str:
    if size is None:
        return "does not fit"
    return f"{size}" if accumulation == 1 else f"{size}, accumulated {accumulation} times"


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _energy(joules: float) -> str:
    return f"{joules / 3600:.2g} Wh" if joules < 3.6e6 else f"{joules / 3.6e6:.2g} kWh"
