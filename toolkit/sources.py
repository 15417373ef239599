"""Where weights and data come from: a Hub id, a local path, or an installed Python package.

    org/name, name                 the Hub, with an optional @revision; data sets also :config
    folder/, file.csv, ~/x, ./x    this machine
    pkg://package/path/inside      a file or folder inside an installed Python package

Everything is resolved to a local path before torch is imported, so a name that cannot work fails at once.
"""

import importlib.util
import re
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

from toolkit.errors import SourceError

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
    ".xlsm",
    ".sqlite",
    ".sqlite3",
    ".db",
    ".duckdb",
    ".npz",
    ".po",
    ".tmx",
)


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


class hub_errors:  # noqa: N801 - reads as a statement: `with hub_errors(...)`
    """Turn the Hub's errors into what the user should do."""

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
