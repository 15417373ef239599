"""What a model card on the Hub states that the report does not hold."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from toolkit import checkpoints, model_metadata, runs, sources
from toolkit.errors import ConfigError, SourceError
from toolkit.events import Note, Observe
from toolkit.exporting.schema import Export
from toolkit.hub import benchmarks, destinations
from toolkit.hub.destinations import Destination
from toolkit.report.pages import usage
from toolkit.report.pages.model_card import Publication
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Target


def small_files(run: runs.Run) -> Path:
    """Return where the small files of a run's model are: next to its weights, or to its adapter alone."""
    return run.model if run.model.is_dir() else run.adapter


def recipe_of(run: runs.Run, name: str | None, observe: Observe) -> Recipe:
    """Return the recipe of a run, with a note if it is not pushed."""
    folder = small_files(run)
    stored = model_metadata.read(folder)
    named = model_metadata.recipe_of(stored, folder, name, trusted=False)
    recipe = loading.load(named or "sentiment", (stored.get("data") or {}).get("target"))
    if (named or "").endswith(".py"):
        text = f"The recipe is your own file {Path(recipe.file).name}, which is not pushed: "
        observe(Note(text + "`toolkit evaluate` will need it with --recipe."))
    return recipe


def languages_of(run: runs.Run, given: Sequence[str]) -> list[str]:
    """Return the codes of the languages: as given, as the options name them, or as the fine-tuned model states."""
    options = model_metadata.read(small_files(run)).get("options") or {}
    named = [options.get(key) for key in ("source", "target", "language")]
    if not given and not any(named):
        origin = str(run.facts.get("model") or "")
        stated = _stated(origin, checkpoints.hub_id(origin)).get("language")
        named = stated if isinstance(stated, list) else [stated]
        named = named if len(named) == 1 else []  # of several, the data may be in any
    codes = (str(name).replace("-", "_").split("_")[0].lower() for name in (given or named) if name)
    return [code for code in dict.fromkeys(codes) if re.fullmatch(r"[a-z]{2,3}", code)]


def publication_of(
    run: runs.Run,
    report: Mapping[str, Any],
    destination: Destination,
    licence: str | None,
    recipe: Recipe,
    files: tuple[str, ...],
    observe: Observe,
    *,
    adapter: bool = False,
) -> Publication:
    """Return the facts of a card that follow from the run alone.

    Args:
        run: The run.
        report: Its report, without private names.
        destination: Where it is pushed to.
        licence: As given; that of the fine-tuned model when None.
        recipe: Of the run.
        files: Names of the files beside the card.
        observe: Called with a note if no licence is known.
        adapter: Whether the adapter alone is pushed.

    Raises:
        ConfigError: The repository is public, and the licence is not known.
    """
    stored = model_metadata.read(small_files(run))
    scratch = bool(report["config"].get("loading", {}).get("from_scratch"))
    origin = str(run.facts.get("model") or "")
    base = None if scratch else checkpoints.hub_id(origin)
    licence = licence or (None if scratch else licence_of(origin, base))  # weights from scratch have no other licence
    _check_licence(licence, destination, observe)
    source = _data(report)
    data = source.name if source is not None else None
    task = recipe.task.hub_task
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
        pairs=_of_pairs(run),
        code=_code(run, recipe.target, task, destination.name, stored, adapter=adapter) if task else None,
        benchmark=benchmarks.task_of(source, "test") if source is not None and _is_whole_test(report) else None,
    )


def _of_pairs(run: runs.Run) -> bool:
    """Whether the run classifies two texts together."""
    test = run.path / "data" / "test.parquet"
    return test.is_file() and "text_pair" in runs.column_names(test)


def _code(
    run: runs.Run, target: Target, task: str, name: str, stored: Mapping[str, Any], *, adapter: bool
) -> str | None:
    """Return the example program of the card, for this run's inputs."""
    folder = small_files(run)
    config, decoding = (
        runs.read_object(file) if file.is_file() else {}
        for file in (folder / "config.json", folder / "generation_config.json")
    )
    return usage.code(
        task,
        name,
        max_length=(stored.get("data") or {}).get("max_length"),
        pairs=_of_pairs(run),
        prefix=config.get("prefix") or "",
        length_factor=(stored.get("options") or {}).get("length_factor", 2.0),
        forced=decoding.get("forced_bos_token_id") is not None,
        adapter=adapter,
        lines=lambda given: target.usage(given, stored.get("labels") or [], stored.get("calibration") or {}),
    )


def script_of(recipe: Recipe, run: runs.Run, name: str, exports: Sequence[Export]) -> str | None:
    """Return the example program in JavaScript, for a model of single texts with one class each and an ONNX graph."""
    task, graphs = recipe.task.hub_task, [export.form for export in exports if export.form.startswith("onnx")]
    if task is None or not graphs or recipe.task.decision != "class" or _of_pairs(run):
        return None
    return usage.script(task, name, eight_bits="onnx-int8" in graphs)


def licence_of(origin: str, base: str | None) -> str | None:
    """Return the licence of the model that was fine-tuned."""
    licence = _stated(origin, base).get("license")
    return licence if isinstance(licence, str) else None


def _stated(origin: str, base: str | None) -> dict[str, Any]:
    """Return what the card of the model that was fine-tuned states, here or on its page on the Hub."""
    try:
        folder = sources.local_path(sources.parse(origin))
    except SourceError:
        folder = None
    page = folder / "README.md" if folder is not None else None
    if page is not None and page.is_file():
        head = re.match(r"---\r?\n(.*?)\r?\n---", page.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        try:
            stated = yaml.safe_load(head[1]) if head else None
        except yaml.YAMLError:
            stated = None
        if isinstance(stated, dict) and isinstance(stated.get("license"), str):
            return stated
    return destinations.stated(base) if base else {}


def _check_licence(licence: str | None, destination: Destination, observe: Observe) -> None:
    if licence is not None:
        return
    if destination.public:
        raise ConfigError(
            "The licence of this model is not known.",
            "Give the Hub's name of the licence with --license, such as apache-2.0; for a fine-tuned model, the "
            "licence of the base model decides.",
            id="hub.no-licence",
        )
    observe(Note("The licence is not known, so the card states none; set it with --license."))


def _data(report: Mapping[str, Any]) -> sources.Source | None:
    """Return where the data are on the Hub, or None."""
    try:
        source = sources.parse(_written(report))
    except SourceError:
        return None
    return source if source.kind == "hub" and "/" in source.name else None


def _data_name(report: Mapping[str, Any]) -> str:
    """Return the display name of the data."""
    written = _written(report)
    return written if _data(report) is not None else Path(written).name or "data of the author"


def _written(report: Mapping[str, Any]) -> str:
    return str(report["data"].get("origin") or report["data"].get("source") or "")


def _is_whole_test(report: Mapping[str, Any]) -> bool:
    """Whether the figures are of all rows of the test part that came with the data."""
    parts = {part["name"]: part for part in report["data"].get("splits") or ()}
    test = parts.get("test", {})
    selected = (report["config"].get("data") or {}).get("where")
    return bool(test.get("given")) and test["rows"] == report["evaluation"]["rows"] and not selected
