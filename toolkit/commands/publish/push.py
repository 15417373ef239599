"""Push a run to the Hub: weights, processor, label names, report, configuration, and a card from the report."""

import getpass
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from toolkit import checkpoints, runs
from toolkit.commands.publish.publication import languages_of, licence_of, publication_of, recipe_of, script_of
from toolkit.errors import ConfigError, ModelError
from toolkit.events import Note, Observe, Stage
from toolkit.exporting import stored_exports
from toolkit.exporting.stored_exports import StoredExport
from toolkit.hub import destinations, upload
from toolkit.hub.destinations import Destination
from toolkit.report.document.portable import portable, quoted, without_examples
from toolkit.report.document.schema import read_report
from toolkit.report.pages import widget_examples
from toolkit.report.pages.model_card import to_card, to_eval_results
from toolkit.report.pages.render import to_html
from toolkit.report.plots.plot_files import plot_files
from toolkit.runs import checksums
from toolkit.runs.trust import leads_into, leads_out

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
    licence = None if from_scratch else licence_of(origin, checkpoints.hub_id(origin))
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
    languages: Sequence[str] = (),
    examples: bool = True,
    adapter: bool = False,
    dry: bool = False,
) -> UploadPlan:
    """Check everything that can be checked, and collect the files to send; nothing is sent.

    Args:
        target: A run directory.
        destination: Where to push.
        licence: The Hub's name of a licence; the one of the model that was fine-tuned when None.
        observe: Called with each event.
        recipe_name: The task; the one stored with the model when None.
        languages: Codes of the languages of the data; those that the run or the fine-tuned model states when empty.
        examples: Whether the report and the card may quote single texts of the data.
        adapter: Whether the adapter alone is pushed.
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
    plots = {f"plots/{name}": content for name, content in plot_files(report).items()}
    files = (_adapter_files(run, roots) if adapter else _model_files(run, roots)) | plots
    exports = [] if adapter else _exports(run, observe)
    for export in exports:
        files |= export.files
    recipe = recipe_of(run, recipe_name, observe)
    widgets, shown = widget_examples.of_run(run, recipe, destination.name) if examples else ([], {})
    files |= shown
    if widgets or (examples and quoted(report["evaluation"])):
        observe(Note("The report and the card show examples of your data; --no-examples omits them."))
    publication = replace(
        publication_of(run, report, destination, licence, recipe, tuple(files), observe, adapter=adapter),
        languages=languages_of(run, languages),
        widgets=widgets,
        exports=[export.report for export in exports if export.report is not None],
        adapter=adapter,
        script=script_of(recipe, run, destination.name, [export.report for export in exports if export.report]),
    )
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
    files = _files_of(run, run.model, "", roots)
    if not any(path.endswith(".safetensors") for path in files):
        raise ModelError(
            f"{run.model} contains no weights.",
            "Copy the complete run directory again; --adapter pushes the adapter alone.",
            id="model.no-weights",
        )
    return files | _files_of(run, run.adapter, "adapter/", roots)


def _adapter_files(run: runs.Run, roots: list[str]) -> dict[str, upload.Content]:
    """Return the files of a run's adapter by their names on the Hub, where it is a model of its own.

    Raises:
        SourceError: One is a link to a file outside of the run directory.
        ModelError: There is no adapter, or its base model is not on the Hub, so that nobody could load it.
    """
    files = _files_of(run, run.adapter, "", roots)
    if "adapter_model.safetensors" not in files:
        raise ModelError(
            f"{run.path} contains no adapter.",
            "Push the model without --adapter; `adapter.kind=lora` trains an adapter.",
            id="model.no-adapter",
        )
    base = str(runs.read_object(run.adapter / "adapter_config.json").get("base_model_name_or_path"))
    if checkpoints.hub_id(base) is None:
        raise ModelError(
            "The base model of this adapter is a folder of this machine, so others could not load it.",
            "Push the model without --adapter, which contains all weights.",
            id="model.adapter-base",
        )
    return files


def _files_of(run: runs.Run, folder: Path, prefix: str, roots: list[str]) -> dict[str, upload.Content]:
    files: dict[str, upload.Content] = {}
    home = run.path.resolve()
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not file.is_file() or not _PASSES.fullmatch(file.name):
            continue
        if not leads_into(home, file):
            raise leads_out(file)
        path = f"{prefix}{file.name}"
        checksums.check(file, "Undo the change, or copy the run directory again; the report is of the old files.")
        files[path] = _without_paths(file, roots) if _CONFIGURATION.fullmatch(path) else file
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


def _exports(run: runs.Run, observe: Observe) -> list[StoredExport]:
    """Return the run's exports of its present weights.

    Raises:
        SourceError: One is a link to a file outside of the run directory.
    """
    kept = []
    for export in stored_exports.of_run(run):
        for file in export.files.values():
            if not leads_into(run.path.resolve(), file):
                raise leads_out(file)
        if export.current:
            kept.append(export)
        else:
            observe(Note(f"{export.folder} is not of these weights and is not pushed: export it again."))
    return kept
