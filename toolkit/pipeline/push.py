"""Put a run on the Hub: weights, processor, label names, report, configuration, and a card written from the report."""

import getpass
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toolkit import checkpoints, hub, hub_benchmarks, recipes, runs, sources
from toolkit.errors import ConfigError, ModelError, RecipeError, SourceError
from toolkit.pipeline.events import Note, Observe, Stage
from toolkit.report import usage
from toolkit.report.card import Publication, to_card, to_eval_results
from toolkit.report.plot_files import plot_files
from toolkit.report.portable import portable, quoted, without_examples
from toolkit.report.render import to_html

# What may leave the folder of a model, and nothing else: weights, and the small files beside them.
_PASSES = re.compile(
    r"(adapter_)?model(-\d+-of-\d+)?\.safetensors|(?!trainer_state)[^./][^/]*\.(json|txt|model|spm|jinja|tiktoken)"
)
_CONFIGURATION = re.compile(r"(.*/)?(.*config|toolkit)\.json")  # where libraries write down paths
_TASKS = {"label": "text-classification", "labels": "token-classification", "target_text": "translation"}
LARGEST_FILE = 500 * 10**9  # bytes; the Hub takes no larger one


@dataclass(frozen=True)
class Parcel:
    """What a push would send.

    Attributes:
        destination: Where to.
        files: Path in the repository → file here, or bytes.
        title: Of the commit.
        exists: Whether the repository is there.
    """

    destination: hub.Destination
    files: Mapping[str, hub.Content]
    title: str
    exists: bool

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size_of(content) for content in self.files.values())


def size_of(content: hub.Content) -> int:
    """Return how many bytes a file has."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def check_destination(destination: hub.Destination, observe: Observe) -> None:
    """Find out, before hours of training, whether the push at their end would be let in."""
    observe(Stage(f"Asking the Hub about {destination.name}"))
    hub.check(destination)


def check_licence(destination: hub.Destination, origin: str, *, from_scratch: bool) -> None:
    """Find out, before hours of training, whether the Hub knows the licence that the card would state.

    Args:
        destination: Where the model will be pushed.
        origin: The model that is fine-tuned.
        from_scratch: Whether its weights are left behind.

    Raises:
        ConfigError: It does not.
    """
    licence = None if from_scratch else _licence(origin, checkpoints.hub_id(origin))
    if licence is None:
        return
    try:
        hub.check_card(f"---\n{yaml.safe_dump({'license': licence})}---\n", destination)
    except ConfigError as error:
        raise ConfigError(
            f"{origin} states the licence `{licence}`. {error.problem}",
            "Train without --push-to, and name a licence that the Hub knows with `toolkit push --license` afterwards.",
        ) from error


def pack(
    target: str, destination: hub.Destination, licence: str | None, observe: Observe, *, examples: bool = True
) -> Parcel:
    """Check everything that can be checked, and put together what would be sent; nothing is sent.

    Args:
        target: A run directory.
        destination: Where to push.
        licence: The Hub's name of a licence; the one of the model that was fine-tuned when None.
        observe: Told what happens.
        examples: Whether the report may quote single texts of the data.

    Raises:
        ToolkitError: What stands in the way of a push.
    """
    run = _run(target)
    observe(Stage(f"Asking the Hub about {destination.name}"))
    exists = hub.check(destination)
    observe(Stage("Putting the files together"))
    roots = _roots(run)
    report = portable(_report(run), roots)
    if not examples:
        report["evaluation"] = without_examples(report["evaluation"])
    elif quoted(report["evaluation"]):
        observe(
            Note("The report quotes texts of your data, such as the worst mistakes; --no-examples leaves them out.")
        )
    plots = {f"plots/{name}": content for name, content in plot_files(report).items()}
    files = _model_files(run, roots) | plots
    publication = _publication(run, report, destination, licence, tuple(files), observe)
    card = to_card(report, publication)
    hub.check_card(card, destination)
    config = yaml.safe_dump(report["config"], sort_keys=False, allow_unicode=True)
    command = report["command"].replace("\n", " ")
    files |= {
        "README.md": card.encode(),
        "report.json": _json(report),
        "report.html": to_html(report).encode(),
        "training_config.yaml": f"# {command}\n{config}".encode(),
    }
    results = to_eval_results(report, publication)
    if results is not None:
        files[".eval_results/toolkit.yaml"] = results.encode()
    hub.refuse_secrets(files)
    if exists:
        hub.check_tag(files, destination)
    for path, content in files.items():
        if size_of(content) > LARGEST_FILE:
            raise ModelError(f"{path} is larger than the Hub takes (500 GB).", "Save the model in several shards.")
    return Parcel(destination, files, f"Upload {report['title']}", exists)


def push(parcel: Parcel, observe: Observe) -> hub.Pushed:
    """Send a parcel, in one commit."""
    observe(Stage(f"Pushing {len(parcel.files)} files, {parcel.size / 1e6:,.1f} MB, to {parcel.destination.name}"))
    return hub.publish(parcel.files, parcel.destination, parcel.title)


def _run(target: str) -> runs.Run:
    path = Path(target)
    if not runs.is_run(path):
        if not path.exists():
            raise SourceError(f"There is no run directory {target}.", "Name a folder that `toolkit finetune` made.")
        raise SourceError(
            f"{target} is no run directory, so there is no report to write a model card from.",
            "Name the folder that `toolkit finetune` made, with run.json in it.",
        )
    run = runs.Run(path)
    runs.check_whole(run)
    return run


def _report(run: runs.Run) -> dict[str, Any]:
    """Read the run's report; a later evaluation on the same rows stands in for it, for it may have found more."""
    report = runs.read_object(run.path / "report.json")
    later = run.path / "evaluations" / "held-out" / "report.json"
    if not later.is_file():
        return report
    again = runs.read_object(later)
    same = again["evaluation"]["metrics"] == report["evaluation"]["metrics"]
    kept = {key: report[key] for key in ("command", "created", "title", "training", "config", "environment", "model")}
    return {**again, **kept} if same else report


def _model_files(run: runs.Run, roots: list[str]) -> dict[str, hub.Content]:
    found: dict[str, hub.Content] = {}
    for folder, prefix in ((run.model, ""), (run.path / "adapter", "adapter/")):
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not file.is_file() or not _PASSES.fullmatch(file.name):
                continue
            path = f"{prefix}{file.name}"
            found[path] = _without_paths(file, roots) if _CONFIGURATION.fullmatch(path) else file
    if not any(path.endswith(".safetensors") for path in found):
        raise ModelError(f"{run.model} holds no weights.", "Copy the run directory again, all of it.")
    return found


def _without_paths(file: Path, roots: list[str]) -> hub.Content:
    """Return a file of settings as it is, or without the paths that a library noted in it."""
    settings = runs.read_object(file)
    cleaned = portable(settings, roots)
    return file if cleaned == settings else _json(cleaned)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _roots(run: runs.Run) -> list[str]:
    """Return the folders of this machine that must not be named."""
    folders = [Path.cwd(), run.path.resolve().parent, Path(tempfile.gettempdir())]
    try:
        folders.append(Path.home())
        folders.append(Path("/home") / getpass.getuser())
    except (RuntimeError, KeyError, OSError):  # a user without a home or a name, as containers have
        pass
    return [str(folder) for folder in folders]


def _publication(
    run: runs.Run,
    report: Mapping[str, Any],
    destination: hub.Destination,
    licence: str | None,
    files: tuple[str, ...],
    observe: Observe,
) -> Publication:
    stored = runs.read_object(run.model / runs.CARD)
    try:
        recipe = recipes.load(str(stored.get("recipe", "sentiment")))
    except RecipeError as error:
        raise RecipeError(
            f"{error.problem} The model in {run.model} was trained with it.",
            f"Push from the folder in which the recipe stood. {error.fix}",
        ) from error
    if str(stored.get("recipe", "")).endswith(".py"):
        text = f"The task is a recipe of your own, {Path(recipe.__file__).name}, which is not pushed: "
        observe(Note(text + "`toolkit evaluate` will ask for it with --recipe."))
    scratch = bool(report["config"].get("loading", {}).get("from_scratch"))
    origin = str(run.facts.get("model") or "")
    base = None if scratch else checkpoints.hub_id(origin)
    licence = licence or (None if scratch else _licence(origin, base))  # the weights are nobody else's
    _check_licence(licence, destination, observe)
    source = _data(report)
    data = source.name if source is not None else None
    of_pictures = any(column.kind == "image" for column in recipe.COLUMNS)
    tasks = {**_TASKS, "label": "image-classification"} if of_pictures else _TASKS
    task = next((tasks[column.kind] for column in recipe.COLUMNS if column.kind in tasks), None)
    return Publication(
        name=destination.name,
        task=task,
        licence=licence,
        base_model=base,
        data=data,
        data_name=_data_name(report),
        revision=source.revision if source is not None else None,
        files=files,
        max_length=(stored.get("data") or {}).get("max_length"),
        from_scratch=scratch,
        code=_code(run, task, destination.name, stored) if task else None,
        benchmark=hub_benchmarks.task_of(source, "test") if source is not None and _is_whole_test(report) else None,
    )


def _code(run: runs.Run, task: str, name: str, stored: Mapping[str, Any]) -> str:
    """Return the program on the card, with what this run's inputs need."""
    test = run.path / "data" / "test.parquet"
    config, decoding = (
        runs.read_object(file) if file.is_file() else {}
        for file in (run.model / "config.json", run.model / "generation_config.json")
    )
    return usage.code(
        task,
        name,
        max_length=(stored.get("data") or {}).get("max_length"),
        pairs=test.is_file() and "text_pair" in runs.column_names(test),
        prefix=config.get("prefix") or "",
        length_factor=(stored.get("options") or {}).get("length_factor", 2.0),
        forced=decoding.get("forced_bos_token_id") is not None,
    )


def _licence(origin: str, base: str | None) -> str | None:
    """Return the licence of the model that was fine-tuned: from its card here, or from its page on the Hub."""
    try:
        folder = sources.local_path(sources.parse(origin))
    except SourceError:
        folder = None
    card = folder / "README.md" if folder is not None else None
    if card is not None and card.is_file():
        head = re.match(r"---\r?\n(.*?)\r?\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        try:
            stated = yaml.safe_load(head[1]) if head else None
        except yaml.YAMLError:
            stated = None
        if isinstance(stated, dict) and isinstance(stated.get("license"), str):
            return str(stated["license"])
    return hub.licence_of(base) if base else None


def _check_licence(licence: str | None, destination: hub.Destination, observe: Observe) -> None:
    if licence is not None:
        return
    if destination.public:
        raise ConfigError(
            "Nothing says under which licence this model may be passed on.",
            "Give the Hub's name of the licence with --license, such as apache-2.0; where a model was fine-tuned, the "
            "licence of that one decides.",
        )
    observe(Note("No licence is known, so the card states none; --license names one."))


def _data(report: Mapping[str, Any]) -> sources.Source | None:
    """Return where the data are on the Hub, or None."""
    try:
        source = sources.parse(_written(report))
    except SourceError:
        return None
    return source if source.kind == "hub" and "/" in source.name else None


def _data_name(report: Mapping[str, Any]) -> str:
    """Return what people call the data."""
    written = _written(report)
    return written if _data(report) is not None else Path(written).name or "data of its author's"


def _written(report: Mapping[str, Any]) -> str:
    return str(report["data"].get("origin") or report["data"].get("source") or "")


def _is_whole_test(report: Mapping[str, Any]) -> bool:
    """Whether the figures are of all rows of the test part that came with the data."""
    parts = {part["name"]: part for part in report["data"].get("splits") or ()}
    test = parts.get("test", {})
    selected = (report["config"].get("data") or {}).get("where")
    return bool(test.get("given")) and test["rows"] == report["evaluation"]["rows"] and not selected
