"""Push a run to the Hub: weights, processor, label names, report, configuration, and a card from the report."""

import getpass
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toolkit import checkpoints, model_metadata, runs, sources
from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.events import Note, Observe, Stage
from toolkit.hub import benchmarks, destinations, upload
from toolkit.hub.destinations import Destination
from toolkit.report.document.portable import portable, quoted, without_examples
from toolkit.report.document.schema import read_report
from toolkit.report.pages import usage
from toolkit.report.pages.model_card import Publication, to_card, to_eval_results
from toolkit.report.pages.render import to_html
from toolkit.report.plots.plot_files import plot_files
from toolkit.runs import checksums
from toolkit.runs.trust import leads_into, leads_out
from toolkit.tasks import loading
from toolkit.tasks.task import Target

# The only files of a model folder that are pushed: weights, and the small files next to them.
_PASSES = re.compile(
    r"(adapter_)?model(-\d+-of-\d+)?\.safetensors|(?!trainer_state)[^./][^/]*\.(json|txt|model|spm|jinja|tiktoken)"
)
_CONFIGURATION = re.compile(r"(.*/)?(.*config|toolkit)\.json")  # files into which libraries write paths
LARGEST_FILE = 500 * 10**9  # bytes; the maximum on the Hub


@dataclass(frozen=True)
class UploadPlan:
    """The content of a push.

    Attributes:
        destination: Where to.
        files: Path in the repository → file here, or bytes.
        title: Of the commit.
        exists: Whether the repository exists; None where that was not checked.
    """

    destination: Destination
    files: Mapping[str, upload.Content]
    title: str
    exists: bool | None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size_of(content) for content in self.files.values())


def size_of(content: upload.Content) -> int:
    """Return how many bytes a file has."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def check_destination(destination: Destination, observe: Observe) -> None:
    """Find out, before hours of training, whether the push at their end would be let in."""
    observe(Stage(f"Checking {destination.name} on the Hub"))
    destinations.check(destination)


def check_licence(destination: Destination, origin: str, *, from_scratch: bool) -> None:
    """Find out, before hours of training, whether the Hub knows the licence that the card would state.

    Args:
        destination: Where the model will be pushed.
        origin: The model that is fine-tuned.
        from_scratch: Whether its weights are not used.

    Raises:
        ConfigError: It does not.
    """
    licence = None if from_scratch else _licence(origin, checkpoints.hub_id(origin))
    if licence is None:
        return
    try:
        destinations.check_card(f"---\n{yaml.safe_dump({'license': licence})}---\n", destination)
    except ConfigError as error:
        raise ConfigError(
            f"{origin} states the licence `{licence}`. {error.problem}",
            "Train without --push-to, and give a licence that the Hub knows with `toolkit push --license` afterwards.",
            id=error.id,
        ) from error


def pack(
    target: str,
    destination: Destination,
    licence: str | None,
    observe: Observe,
    *,
    recipe_name: str | None = None,
    examples: bool = True,
    dry: bool = False,
) -> UploadPlan:
    """Check everything that can be checked, and collect the files to send; nothing is sent.

    Args:
        target: A run directory.
        destination: Where to push.
        licence: The Hub's name of a licence; the one of the model that was fine-tuned when None.
        observe: Called with each event.
        recipe_name: The task; the one stored with the model when None.
        examples: Whether the report may quote single texts of the data.
        dry: Whether nothing will be sent, so that checks on the Hub may be skipped if it cannot be reached.

    Raises:
        ToolkitError: The push is not possible.
    """
    run = runs.finished(target)
    exists = _repository_exists(destination, observe, dry=dry)
    observe(Stage("Collecting the files"))
    roots = _roots(run)
    report = portable(_report(run), roots)
    if not examples:
        report["evaluation"] = without_examples(report["evaluation"])
    elif quoted(report["evaluation"]):
        observe(Note("The report shows examples of your data, such as wrong predictions; --no-examples omits them."))
    plots = {f"plots/{name}": content for name, content in plot_files(report).items()}
    files = _model_files(run, roots) | plots
    publication = _publication(run, report, destination, licence, recipe_name, tuple(files), observe)
    page = to_card(report, publication)
    if exists is not None:
        destinations.check_card(page, destination)
    config = yaml.safe_dump(report["config"], sort_keys=False, allow_unicode=True)
    command = report["command"].replace("\n", " ")
    files |= {
        "README.md": page.encode(),
        "report.json": _json(report),
        "report.html": to_html(report).encode(),
        "training_config.yaml": f"# {command}\n{config}".encode(),
    }
    results = to_eval_results(report, publication)
    if results is not None:
        files[".eval_results/toolkit.yaml"] = results.encode()
    upload.refuse_secrets(files)
    if exists:
        upload.check_tag(files, destination)
    for path, content in files.items():
        if size_of(content) > LARGEST_FILE:
            raise ModelError(
                f"{path} exceeds the limit of the Hub (500 GB).",
                "Save the model in several shards.",
                id="hub.file-too-large",
            )
    return UploadPlan(destination, files, f"Upload {report['title']}", exists)


def _repository_exists(destination: Destination, observe: Observe, *, dry: bool) -> bool | None:
    """Return whether the repository exists; None where the Hub cannot be reached in a dry run."""
    destinations.check_call(destination)
    problem = destinations.obstacle() if dry else None
    if problem is not None:
        observe(Note(f"{problem.problem} Name, permission and card were not checked. {problem.fix}"))
        return None
    observe(Stage(f"Checking {destination.name} on the Hub"))
    return destinations.check(destination)


def push(plan: UploadPlan, observe: Observe) -> upload.Pushed:
    """Upload the files of a plan, in one commit."""
    observe(Stage(f"Pushing {len(plan.files)} files, {plan.size / 1e6:,.1f} MB, to {plan.destination.name}"))
    return upload.publish(plan.files, plan.destination, plan.title)


def _report(run: runs.Run) -> dict[str, Any]:
    """Read the run's report, or that of a later evaluation on the same rows, which may contain more checks."""
    own, later = run.path / "report.json", run.path / "evaluations" / "held-out" / "report.json"
    checksums.check(own, "Undo the change, or copy the run directory again.")
    report = read_report(own)
    if not later.is_file():
        return report
    checksums.check(later, f"`toolkit evaluate {run.path}` writes it again.")
    again = read_report(later)
    same = again["evaluation"]["metrics"] == report["evaluation"]["metrics"]
    kept = {key: report[key] for key in ("command", "created", "title", "training", "config", "environment", "model")}
    return {**again, **kept} if same else report


def _model_files(run: runs.Run, roots: list[str]) -> dict[str, upload.Content]:
    """Return the files of the model and of its adapters by their names on the Hub.

    Raises:
        SourceError: One is a link to a file outside of the run directory, which may be any file of this machine.
        ModelError: No weights are among them.
    """
    files: dict[str, upload.Content] = {}
    home = run.path.resolve()
    for folder, prefix in ((run.model, ""), (run.path / "adapter", "adapter/")):
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not file.is_file() or not _PASSES.fullmatch(file.name):
                continue
            if not leads_into(home, file):
                raise leads_out(file)
            path = f"{prefix}{file.name}"
            checksums.check(file, "Undo the change, or copy the run directory again; the report is of the old files.")
            files[path] = _without_paths(file, roots) if _CONFIGURATION.fullmatch(path) else file
    if not any(path.endswith(".safetensors") for path in files):
        raise ModelError(
            f"{run.model} contains no weights.", "Copy the complete run directory again.", id="model.no-weights"
        )
    return files


def _without_paths(file: Path, roots: list[str]) -> upload.Content:
    """Return a file of settings, without any paths that a library wrote into it."""
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
    destination: Destination,
    licence: str | None,
    recipe_name: str | None,
    files: tuple[str, ...],
    observe: Observe,
) -> Publication:
    stored = model_metadata.read(run.model)
    named = model_metadata.recipe_of(stored, run.model, recipe_name, trusted=False)
    recipe = loading.load(named or "sentiment", (stored.get("data") or {}).get("target"))
    if (named or "").endswith(".py"):
        text = f"The recipe is your own file {Path(recipe.file).name}, which is not pushed: "
        observe(Note(text + "`toolkit evaluate` will need it with --recipe."))
    scratch = bool(report["config"].get("loading", {}).get("from_scratch"))
    origin = str(run.facts.get("model") or "")
    base = None if scratch else checkpoints.hub_id(origin)
    licence = licence or (None if scratch else _licence(origin, base))  # weights from scratch have no other licence
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
        code=_code(run, recipe.target, task, destination.name, stored) if task else None,
        benchmark=benchmarks.task_of(source, "test") if source is not None and _is_whole_test(report) else None,
    )


def _of_pairs(run: runs.Run) -> bool:
    """Whether the run classifies two texts together."""
    test = run.path / "data" / "test.parquet"
    return test.is_file() and "text_pair" in runs.column_names(test)


def _code(run: runs.Run, target: Target, task: str, name: str, stored: Mapping[str, Any]) -> str:
    """Return the example program of the card, for this run's inputs."""
    config, decoding = (
        runs.read_object(file) if file.is_file() else {}
        for file in (run.model / "config.json", run.model / "generation_config.json")
    )
    return usage.code(
        task,
        name,
        max_length=(stored.get("data") or {}).get("max_length"),
        pairs=_of_pairs(run),
        prefix=config.get("prefix") or "",
        length_factor=(stored.get("options") or {}).get("length_factor", 2.0),
        forced=decoding.get("forced_bos_token_id") is not None,
        lines=lambda given: target.usage(given, stored.get("labels") or [], stored.get("calibration") or {}),
    )


def _licence(origin: str, base: str | None) -> str | None:
    """Return the licence of the model that was fine-tuned: from its card here, or from its page on the Hub."""
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
            return str(stated["license"])
    return destinations.licence_of(base) if base else None


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
