"""Where weights and data come from: a Hub id, a local path, or an installed Python package.

    org/name, name                 the Hub, with an optional @revision; data sets also :config
    folder/, file.csv, ~/x, ./x    this machine
    pkg://package/path/inside      a file or folder inside an installed Python package

Everything is resolved to a local path before torch is imported, so a name that cannot work fails at once.
"""

import importlib.util
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from toolkit.errors import ModelError, SourceError
from toolkit.runs.trust import check_no_devices

PROBE_SECONDS = 2.5  # detecting a missing network must take at most five seconds

_HUB_ID = re.compile(
    r"(?P<id>[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?)(?::(?P<config>[\w.+-]+))?(?:@(?P<revision>[\w./-]+))?", re.ASCII
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DATA_SUFFIXES = (
    ".csv",
    ".tsv",
    ".tab",
    ".jsonl",
    ".ndjson",
    ".json",
    ".parquet",
    ".arrow",
    ".feather",
    ".gz",
    ".txt",
    ".zip",
    ".xlsx",
    ".npz",
    ".po",
    ".tmx",
)
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
_PICKLED = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?|.*\.(pt|pth|ckpt|pkl|pickle)")
_COMPANIONS = (".json", ".txt", ".model", ".spm", ".jinja", ".tiktoken", ".md")


@dataclass(frozen=True)
class Source:
    """A parsed name.

    Attributes:
        kind: "hub", "path" or "package".
        name: The Hub id, the path, or "package/path/inside".
        revision: Branch, tag or commit on the Hub.
        config: Configuration of a Hub data set.
    """

    kind: Literal["hub", "path", "package"]
    name: str
    revision: str | None = None
    config: str | None = None


@dataclass(frozen=True)
class Located:
    """A file or folder on this machine.

    Attributes:
        path: File or folder.
        origin: Where it came from, as a name that finds it again.
        revision: Commit on the Hub, when it came from there.
        note: One sentence for the user when it is not simply the requested one.
    """

    path: Path
    origin: str
    revision: str | None = None
    note: str | None = None


def parse(name: str) -> Source:
    """Distinguish a Hub id, a local path and a packaged file.

    An existing path takes precedence over a Hub id of the same spelling.

    Raises:
        SourceError: The name is none of the three.
    """
    if name.startswith("pkg://"):
        return Source("package", name.removeprefix("pkg://").strip("/"))
    if _ADDRESS.match(name):
        raise SourceError(
            f"{name} is a web address, which is not read directly.",
            "Download it first (`curl -LO URL`) and give the file; for the Hub give the id, org/name.",
            id="source.web-address",
        )
    try:
        path = Path(name).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # too long, not readable, or the home of an unknown user
        raise SourceError(
            f"`{name[:200]}` cannot be looked up: {error}.", "Check the spelling of the path.", id="source.invalid-name"
        ) from None
    if name and (exists or _is_path_like(name)):
        return Source("path", str(path))
    match = _HUB_ID.fullmatch(name)
    if not match:
        raise SourceError(
            f"`{name}` is not the name of a model or data set.",
            "Give a Hub id (org/name), an existing file or folder, or pkg://package/path/inside.",
            id="source.invalid-name",
        )
    return Source("hub", match["id"], match["revision"], match["config"])


def _is_path_like(name: str) -> bool:
    return (
        name.startswith((".", "/", "~"))
        or name.endswith((*_DATA_SUFFIXES, "/"))
        or name.partition("@")[0].count("/") > 1
    )


def package_path(name: str) -> Path:
    """Return the path of "package/path/inside" without importing the package.

    Raises:
        SourceError: The package is not installed, or holds no such file.
    """
    package, _, inside = name.partition("/")
    try:
        specification = importlib.util.find_spec(package) if package.isidentifier() else None
    except (ImportError, ValueError):
        specification = None
    if specification is None or not specification.submodule_search_locations:
        raise SourceError(
            f"The Python package `{package}` is not installed.",
            "Install the package that provides it with pip.",
            id="source.package-missing",
        )
    if ".." in PurePosixPath(inside).parts or inside.startswith("/"):
        raise SourceError(
            f"pkg://{name} points outside its package.", "Give a path inside the package.", id="source.outside-package"
        )
    for root in specification.submodule_search_locations:
        path = Path(root) / inside
        if path.exists():
            return path
    raise SourceError(
        f"The package `{package}` holds no `{inside}`.",
        "Check the path inside the package.",
        id="source.package-file-missing",
    )


def local_path(source: Source) -> Path | None:
    """Return the path of a source that needs no network, or None for one on the Hub."""
    if source.kind == "package":
        return package_path(source.name)
    return Path(source.name) if source.kind == "path" else None


@cache
def hub_problem() -> str | None:
    """Return why the Hub cannot be reached, or None when it responds.

    Checked once per process. A name server that does not respond counts as no network, so the check
    runs in a thread that is abandoned after a time limit.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    answer: list[str | None] = []
    thread = threading.Thread(target=lambda: answer.append(_probe(constants.ENDPOINT)), daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0] if answer else f"{constants.ENDPOINT} did not answer within {PROBE_SECONDS} s"


def _probe(endpoint: str) -> str | None:
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=PROBE_SECONDS)
    except ImportError:
        return f"{endpoint} cannot be reached through a SOCKS proxy, set by ALL_PROXY, without the package socksio"
    except ValueError:
        return f"{endpoint} cannot be reached through a proxy of an unknown kind, set by ALL_PROXY"
    except Exception as error:  # any transport's own error means the same: no Hub
        return f"{endpoint} cannot be reached ({type(error).__name__})"
    return None


def locate_model(names: Sequence[str], *, allow_pickle: bool = False, remote_code: bool = False) -> Located:
    """Bring a checkpoint onto this machine.

    Args:
        names: The requested name, then names that may replace it when the Hub cannot be reached.
        allow_pickle: Accept a checkpoint that holds no safetensors.
        remote_code: Also fetch the Python files of the checkpoint.

    Raises:
        SourceError: None of the names can be found.
        ModelError: The folder is not a checkpoint, or its weights are pickled.
    """
    first, *fallbacks = names
    source = parse(first)
    path = local_path(source)
    if path is not None:
        check_checkpoint(path, first, allow_pickle=allow_pickle)
        return Located(path, first)
    problem = hub_problem()
    if problem is None:
        return _download_model(source, allow_pickle=allow_pickle, remote_code=remote_code)
    cached = _cached(source.name, source.revision, "model")
    if cached is not None:
        check_checkpoint(cached, first, allow_pickle=allow_pickle)
        return Located(cached, first, cached.name, f"{problem}; the cached copy of {source.name} is used.")
    for fallback in fallbacks:
        try:
            path = local_path(parse(fallback))
        except SourceError:
            continue
        if path is not None:
            return Located(path, fallback, note=f"{problem}; {fallback} is used instead of {source.name}.")
    raise SourceError(
        f"The model {first} is not on this machine and {problem}.", fix="", id="hub.unreachable"
    )  # the caller names alternatives


def check_checkpoint(path: Path, name: str, *, allow_pickle: bool) -> None:
    """Refuse a folder that is not a checkpoint, or one whose weights are pickled code.

    Raises:
        ModelError: With the fault of the folder.
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
    _check_adapter(files, name)
    if not path.is_dir() or not (path / "config.json").is_file():
        raise ModelError(
            f"{name} is not a model: it has no config.json.",
            "Give the folder that `save_pretrained` wrote, or a run directory.",
            id="model.not-a-model",
        )
    _check_weights(files, name, allow_pickle=allow_pickle)


def _check_adapter(files: Iterable[str], name: str) -> None:
    """Refuse an adapter: transformers would load the model that it names, regardless of the other files."""
    if "adapter_config.json" in files:
        raise ModelError(
            f"{name} holds an adapter, which changes the weights of another model and is not a model by itself.",
            "Merge it into its base model with peft (`merge_and_unload`), save that, and give its folder; a run of "
            "this toolkit already holds the merged model.",
            id="model.is-adapter",
        )


def _check_weights(files: Iterable[str], name: str, *, allow_pickle: bool) -> None:
    files = list(files)
    if any(_WEIGHTS.fullmatch(file) for file in files):
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
            f"{name} holds no weights (model.safetensors).",
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
    with _hub_errors(source.name, "model"):
        api = HfApi()
        files = [file.rfilename for file in api.model_info(source.name, revision=revision).siblings or ()]
        _check_adapter(files, source.name)
        if not any(_WEIGHTS.fullmatch(file) for file in files) and revision is None:
            converted = _converted_revision(api, source.name)
            if converted is not None:
                revision, note = (
                    converted,
                    f"{source.name} has pickled weights; the Hub's safetensors conversion is used.",
                )
                files = [file.rfilename for file in api.model_info(source.name, revision=revision).siblings or ()]
        _check_weights(files, source.name, allow_pickle=allow_pickle)
        wanted = _wanted(files, remote_code=remote_code)
        path = Path(snapshot_download(source.name, revision=revision, allow_patterns=wanted))
    return Located(path, f"{source.name}@{revision}" if revision else source.name, path.name, note)


def _wanted(files: Sequence[str], *, remote_code: bool) -> list[str]:
    """Choose what to download: the weights in one format, and the small files."""
    weights = [file for file in files if _WEIGHTS.fullmatch(file)] or [
        file for file in files if _PICKLED.fullmatch(file)
    ]
    suffixes = (*_COMPANIONS, ".py") if remote_code else _COMPANIONS
    return weights + [file for file in files if "/" not in file and file.endswith(suffixes) and file not in weights]


def _converted_revision(api: Any, name: str) -> str | None:
    """Find the pull request in which the Hub's own robot converted pickled weights to safetensors."""
    for discussion in api.get_repo_discussions(name, author="SFconvertbot", discussion_type="pull_request"):
        if discussion.title == "Adding `safetensors` variant of this model" and discussion.author == "SFconvertbot":
            return str(discussion.git_reference)
    return None


def _cached(name: str, revision: str | None, kind: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, repo_type=kind, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):
        return None


def cached_models() -> list[str]:
    """Return the ids of the models whose configuration and weights are in the Hub cache."""
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


class _hub_errors:  # noqa: N801 - reads as a statement: `with _hub_errors(...)`
    """Convert the Hub's errors to errors with a fix."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        mended = hub_error(error, self.name, self.kind)
        if mended is not None:
            raise mended from error


def hub_error(error: Exception, name: str, kind: str) -> SourceError | None:
    """Return the error for a response of the Hub, or None when the error is not the Hub's."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return SourceError(
            f"The {kind} {name} is gated: its owner must grant access.",
            "Accept its conditions on its Hub page, then run `hf auth login` with a token of that account.",
            id="hub.gated",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return SourceError(
            f"The Hub has no {kind} {name} that you may read.",
            "Check the spelling; for a private one run `hf auth login` or set HF_TOKEN.",
            id="hub.not-found",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceError(
            f"{name} has no such revision.",
            "Give a branch, tag or commit listed on its Hub page.",
            id="hub.no-revision",
        )
    if isinstance(error, errors.HFValidationError):
        return SourceError(
            f"`{name}` is not the name of a {kind} on the Hub.",
            "Hub ids have the form org/name.",
            id="hub.invalid-name",
        )
    if isinstance(error, errors.HfHubHTTPError | errors.EntryNotFoundError | httpx2.HTTPError):
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return SourceError(
            f"The Hub did not return {name}: {reason}",
            "Try again; `toolkit doctor` checks the Hub and your token.",
            id="hub.request-failed",
        )
    return None
