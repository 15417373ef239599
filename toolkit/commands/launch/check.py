"""What is refused before anything is written: a job that an engine cannot run, or whose files would be lost."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.commands.launch.arguments import Arguments
from toolkit.commands.launch.job import Engine, Job
from toolkit.errors import ConfigError

_ENDLESS = ("launch", "serve", "app")  # commands that have no end, or none of their own
_JOB_NAME = r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?"
_KEY = r"[a-z][a-z0-9_-]*"
_VALUE = r"[A-Za-z0-9_.,:/@%+=\[\]()&|!*-]*"  # sbatch reads quotes, backslashes, # and spaces in its own way
_FOLDER = r"/[A-Za-z0-9_./-]+"
_MOST_HOURS = 24 * 365
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}|\b(?:HF_TOKEN|HUGGING_FACE_HUB_TOKEN)=[\"']?[^\s$\"']")


@dataclass(frozen=True)
class Request:
    """What the options of `launch` say.

    Attributes:
        nodes: Number of machines.
        gpus: Number of GPUs of each; None where it was not given.
        hours: Time limit.
        name: Of the job; made of the command when None.
        setup: Shell lines that are run first.
        volume: STORAGE:/FOLDER.
        settings: KEY=VALUE, further values of the engine.
        options: Of those that not every engine has, the values of `hardware`, `queue` and `image`; None if not given.
    """

    nodes: int = 1
    gpus: int | None = None
    hours: float = 4.0
    name: str | None = None
    setup: str | None = None
    volume: str | None = None
    settings: Sequence[str] = ()
    options: Mapping[str, str | None] = field(default_factory=dict)


def check_texts(words: Sequence[str], request: Request) -> None:
    """Refuse texts that no script can hold, and tokens.

    Raises:
        ConfigError: With the cause; a token is not repeated.
    """
    given = [text for text in (request.setup, request.volume, *request.options.values()) if text is not None]
    for text in (*words, *given, *request.settings):
        try:
            text.encode()
            whole = "\0" not in text
        except UnicodeEncodeError:
            whole = False
        if not whole:
            raise ConfigError(
                f"{text!r} cannot be written into a script: it is not valid Unicode, or has a null character.",
                "Rename the file, or leave the characters out.",
                id="launch.bad-value",
            )
        if _TOKEN.search(text):
            raise ConfigError(
                "An argument contains a token, which would be written into a file.",
                "Leave it out: `hf auth login` or HF_TOKEN stores it here, and jobs get it by name.",
                id="launch.token",
            )


def job(arguments: Arguments, request: Request, engine: Engine) -> Job:
    """Return the job, checked.

    Raises:
        ConfigError: The engine cannot run it as requested.
    """
    if arguments.name in _ENDLESS:
        raise ConfigError(
            f"`toolkit {arguments.name}` does not end by itself, so it is no job.",
            "Launch another command; docs/deployment.md shows how a service is run.",
            id="launch.not-a-job",
        )
    given = {**request.options, "volume": request.volume}
    for option, value in given.items():
        _check_option(engine, option, value)
    made = Job(
        name=_named(arguments, request),
        words=arguments.words,
        trains="--num-processes" in arguments.options,
        resumes=_resumes(arguments),
        pushes=bool(arguments.given.get("push_to")),
        nodes=request.nodes,
        gpus=_gpus(request, engine),
        minutes=_minutes(request.hours),
        hardware=given["hardware"],
        queue=given["queue"],
        image=given["image"],
        setup=request.setup,
        volume=_volume(engine, request.volume),
        settings=_settings(engine, request.settings),
    )
    _check_needs(engine, made)
    _check_files(engine, made)
    _check_processes(engine, made, arguments)
    return made


def _named(arguments: Arguments, request: Request) -> str:
    name = request.name or f"toolkit-{arguments.name.replace(' ', '-')}"
    if re.fullmatch(_JOB_NAME, name) is None:
        raise ConfigError(
            f"`{name}` cannot be the name of a job.",
            "Give at most 50 small letters, digits and dashes, with a letter first.",
            id="launch.bad-value",
        )
    return name


def _resumes(arguments: Arguments) -> bool:
    """Whether the command may be started again with --resume, in the folder where the first attempt wrote."""
    given = arguments.given
    already = given.get("resume") or given.get("dry_run")
    found_again = given.get("seeds") is None or given.get("output") is not None
    return "--num-processes" in arguments.options and not already and found_again


def _check_option(engine: Engine, option: str, value: str | None) -> None:
    if value is None:
        return
    if option not in engine.takes:
        raise ConfigError(
            f"{engine.title} has nothing that --{option} could set.", f"Leave --{option} out.", id="launch.unused"
        )
    pattern, meaning = engine.takes[option]
    text = value if option != "volume" else value.rpartition(":/")[0]
    if re.fullmatch(pattern, text) is None:
        raise ConfigError(
            f"`{value}` is no value of --{option} for {engine.title}.", f"Give {meaning}.", id="launch.bad-value"
        )


def _volume(engine: Engine, given: str | None) -> tuple[str, str] | None:
    if given is None:
        return None
    storage, _, folder = given.rpartition(":/")
    if re.fullmatch(_FOLDER, f"/{folder}") is None:
        raise ConfigError(
            f"`{given}` names no folder in which the volume is mounted.",
            f"Give {engine.takes['volume'][1]}.",
            id="launch.bad-value",
        )
    return storage, f"/{folder}"


def _minutes(hours: float) -> int:
    if not 0 < hours <= _MOST_HOURS:
        raise ConfigError(
            f"--hours cannot be {hours:g}.", f"Give a number above 0, at most {_MOST_HOURS}.", id="config.out-of-range"
        )
    return math.ceil(hours * 60)


def _gpus(request: Request, engine: Engine) -> int | None:
    if request.nodes < 1 or (request.gpus or 0) < 0:
        raise ConfigError("--nodes is at least 1, and --gpus at least 0.", "Give others.", id="config.out-of-range")
    if engine.several:
        return 1 if request.gpus is None else request.gpus
    if request.gpus is not None or request.nodes > 1:
        raise ConfigError(
            f"{engine.title} runs a job on one machine, whose GPUs its hardware decides.",
            "Leave --nodes and --gpus out, and choose the GPUs with --hardware.",
            id="launch.unused",
        )
    return None


def _settings(engine: Engine, given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        known = engine.settings
        if not equals or re.fullmatch(_KEY, key) is None:
            raise ConfigError(
                f"`{text}` is not KEY=VALUE.", "Write --set-engine KEY=VALUE.", id="config.malformed-assignment"
            )
        if key in values:
            raise ConfigError(f"`{key}` is given twice.", "Give it once.", id="config.given-twice")
        if key in engine.reserved or (known is not None and key not in known):
            others = f" It takes {', '.join(known)}." if known is not None else ""
            raise ConfigError(
                f"`--set-engine {key}` is not taken for {engine.title}.",
                f"Use the option of `launch` that sets it, or leave it out.{others}",
                id="launch.unused",
            )
        if re.fullmatch(_VALUE if known is None else known[key], value) is None:
            raise ConfigError(
                f"`{value}` is no value of `{key}` for {engine.title}.",
                "Give one of its form, without spaces and quotation marks.",
                id="launch.bad-value",
            )
        values[key] = value
    return values


def _check_needs(engine: Engine, made: Job) -> None:
    for option in (*engine.needs, *(engine.needs_for_gpus if made.gpus else ())):
        if getattr(made, option) is None:
            raise ConfigError(
                f"{engine.title} needs --{option}.", f"Give {engine.takes[option][1]}.", id="launch.needs"
            )


def _check_files(engine: Engine, made: Job) -> None:
    """Refuse a job whose result is lost with its machine."""
    if engine.keeps_files or made.pushes or (made.volume is not None and not engine.must_push):
        return
    volume = "" if engine.must_push else f", or --volume {engine.takes['volume'][1]}"
    raise ConfigError(
        f"{engine.title} removes the machine at the end, and with it the run.",
        f"Give the command --push-to ORG/NAME, which `finetune` takes{volume}.",
        id="launch.files-lost",
    )


def _check_processes(engine: Engine, made: Job, arguments: Arguments) -> None:
    if made.nodes > 1 and not made.trains:
        raise ConfigError(
            f"`toolkit {arguments.name}` runs on one machine.", "Leave --nodes out.", id="config.conflict"
        )
    if made.nodes > 1 and not engine.keeps_files and made.volume is None:
        raise ConfigError(
            "The processes of several machines read the run that the first one writes.",
            f"Give --volume {engine.takes['volume'][1]}, or --nodes 1.",
            id="launch.needs",
        )
    wanted, started = arguments.given.get("num_processes"), made.nodes * made.processes
    if wanted is not None and engine.several and (made.nodes > 1 or engine.keeps_files) and wanted != started:
        raise ConfigError(
            f"--num-processes is {wanted}, but {made.nodes} × {made.processes} processes are started.",
            "Leave --num-processes out, or give other --nodes and --gpus.",
            id="config.conflict",
        )
