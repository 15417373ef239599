"""Files of checkpoints: from the Hub, its cache, a folder or an installed package; what is none is refused."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import sources
from toolkit.errors import ModelError, SourceError
from toolkit.runs.trust import check_no_devices
from toolkit.sources import Source

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
ADAPTER = "adapter_config.json"  # marks a folder as an adapter for another model
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PICKLED = re.compile(r"(?:pytorch|adapter)_model(-\d+-of-\d+)?\.bin(\.index\.json)?|.*\.(pt|pth|ckpt|pkl|pickle)")
_COMPANIONS = (".json", ".txt", ".model", ".spm", ".jinja", ".tiktoken", ".md")


@dataclass(frozen=True)
class Located:
    """A checkpoint that lies on this machine now.

    Attributes:
        path: Its folder.
        origin: Where it came from, as a name that finds it again.
        revision: Commit on the Hub, when it came from there.
        note: One sentence for the user when it is not simply what was asked for.
    """

    path: Path
    origin: str
    revision: str | None = None
    note: str | None = None


def locate_model(
    names: Sequence[str], *, allow_pickle: bool = False, remote_code: bool = False, download: bool = True
) -> Located:
    """Bring a checkpoint onto this machine.

    Args:
        names: The name asked for, then names that may stand in for it when the Hub cannot be reached.
        allow_pickle: Accept a checkpoint that holds no safetensors.
        remote_code: Also fetch the Python files of the checkpoint.
        download: Whether to ask the Hub.

    Raises:
        SourceError: None of the names leads anywhere on this machine.
        ModelError: The folder is not a checkpoint, or its weights are pickled.
    """
    first, *fallbacks = names
    source = sources.parse(first)
    path = sources.local_path(source)
    if path is not None:
        check_checkpoint(path, first, allow_pickle=allow_pickle)
        return Located(path, first)
    problem = sources.hub_problem() if download else "the Hub is not asked"
    if problem is None:
        return _download_model(source, allow_pickle=allow_pickle, remote_code=remote_code)
    cached = _cached(source.name, source.revision)
    if cached is not None:
        check_checkpoint(cached, first, allow_pickle=allow_pickle)
        return Located(cached, first, cached.name, f"{problem}; the cached copy of {source.name} is used.")
    for fallback in fallbacks:
        try:
            path = sources.local_path(sources.parse(fallback))
        except SourceError:
            continue
        if path is not None:
            return Located(path, fallback, note=f"{problem}; {fallback} is used instead of {source.name}.")
    raise SourceError(
        f"The model {first} is not on this machine and {problem}.", fix="", id="hub.unreachable"
    )  # the caller knows what works


def check_checkpoint(path: Path, name: str, *, allow_pickle: bool) -> None:
    """Refuse a folder that is no checkpoint, or one whose weights are pickled code.

    Raises:
        ModelError: What is wrong with the folder.
    """
    if not path.exists():
        raise SourceError(
            f"The folder {name} does not exist.",
            "Check the path; Hub ids have the form org/name.",
            id="source.file-missing",
        )
    files = [file.name for file in path.iterdir()] if path.is_dir() else []
    if files:
        check_no_devices(path)
    if ADAPTER in files:
        _check_weights(files, name, allow_pickle=False)
        return
    if not path.is_dir() or not (path / "config.json").is_file():
        raise ModelError(
            f"{name} is not a model: it has no config.json.",
            "Give the folder that `save_pretrained` wrote, or a run directory.",
            id="model.not-a-model",
        )
    _check_weights(files, name, allow_pickle=allow_pickle)


def _weights_in(files: Sequence[str]) -> list[str]:
    """Return the safetensors among files: an adapter's, where it is one, since that is what transformers loads."""
    return [file for file in files if (file == ADAPTER_WEIGHTS if ADAPTER in files else _WEIGHTS.fullmatch(file))]


def _check_weights(files: Iterable[str], name: str, *, allow_pickle: bool) -> None:
    files = list(files)
    if any(_weights_in(files)):
        return
    pickled = sorted(file for file in files if _PICKLED.fullmatch(file))
    if not pickled and "export.json" in files:
        raise ModelError(
            f"{name} is an export for another runtime.",
            "Give the run or model that it was made from.",
            id="model.is-export",
        )
    if not pickled:
        raise ModelError(
            f"{name} holds no weights ({ADAPTER_WEIGHTS if ADAPTER in files else 'model.safetensors'}).",
            "Check that the download or the copy is complete.",
            id="model.no-weights",
        )
    if not allow_pickle:
        raise ModelError(
            f"{name} holds its weights as pickled code ({pickled[0]}), which can run arbitrary code when loaded.",
            "Use a checkpoint with safetensors, or, if you trust its author, add `--set loading.allow_pickle=true`.",
            id="model.unsafe-weights",
        )


def _download_model(source: Source, *, allow_pickle: bool, remote_code: bool) -> Located:
    from huggingface_hub import HfApi, snapshot_download

    revision = source.revision
    note = None
    with sources.hub_errors(source.name, "model"):
        api = HfApi()
        files = [file.rfilename for file in api.model_info(source.name, revision=revision).siblings or ()]
        if not _weights_in(files) and ADAPTER not in files and revision is None:
            converted = _converted_revision(api, source.name)
            if converted is not None:
                revision, note = (
                    converted,
                    f"{source.name} has pickled weights; the Hub's safetensors conversion is used.",
                )
                files = [file.rfilename for file in api.model_info(source.name, revision=revision).siblings or ()]
        _check_weights(files, source.name, allow_pickle=allow_pickle and ADAPTER not in files)
        wanted = _wanted(files, remote_code=remote_code)
        path = Path(snapshot_download(source.name, revision=revision, allow_patterns=wanted))
    return Located(path, f"{source.name}@{revision}" if revision else source.name, path.name, note)


def _wanted(files: Sequence[str], *, remote_code: bool) -> list[str]:
    """Choose what to download: the weights in one format, and the small files beside them."""
    weights = _weights_in(files) or [file for file in files if _PICKLED.fullmatch(file)]
    suffixes = (*_COMPANIONS, ".py") if remote_code else _COMPANIONS
    return weights + [file for file in files if "/" not in file and file.endswith(suffixes) and file not in weights]


def _converted_revision(api: Any, name: str) -> str | None:
    """Find the pull request in which the Hub's own robot converted pickled weights to safetensors."""
    for discussion in api.get_repo_discussions(name, author="SFconvertbot", discussion_type="pull_request"):
        if discussion.title == "Adding `safetensors` variant of this model" and discussion.author == "SFconvertbot":
            return str(discussion.git_reference)
    return None


def _cached(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return None


def cached_models() -> list[str]:
    """Return the ids of the models whose configuration and weights stand in the Hub cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    return sorted(
        repository.repo_id
        for repository in repositories
        if repository.repo_type == "model"
        and any(
            any(_WEIGHTS.fullmatch(file.file_name) for file in revision.files)
            and any(file.file_name == "config.json" for file in revision.files)
            for revision in repository.revisions
        )
    )
