"""The only file that uploads: who may write where, and everything in one commit.

    check ──→ name, token, permission, visibility; nothing is made, nothing is sent
    publish → the repository if it is new, one commit, a tag; nothing when the Hub holds the same already

A push that died is repeated by the same call: large files that arrived are not sent again.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from toolkit import sources
from toolkit.errors import CallError, ConfigError, RunError, SourceError, ToolkitError

Content = Path | bytes
T = TypeVar("T")

ATTEMPTS = 4
LONGEST_WAIT = 120.0  # seconds, whatever Retry-After says
# What an earlier push wrote and another model may not need: weights in other shards, adapters, results.
_OURS = re.compile(
    r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|adapter/[^/]+|plots/[^/]+|\.eval_results/toolkit\.yaml"
)


@dataclass(frozen=True)
class Destination:
    """Where to push.

    Attributes:
        name: The repository, org/name.
        public: Whether everybody may read it.
        revision: Branch; main when None. One that does not exist is made.
        pull_request: Propose the commit instead of making it.
        tag: Name for the commit.
    """

    name: str
    public: bool = False
    revision: str | None = None
    pull_request: bool = False
    tag: str | None = None


@dataclass(frozen=True)
class Pushed:
    """The outcome of a push.

    Attributes:
        url: Page of the commit or of the pull request.
        commit: Its id.
        changed: False when the Hub held the same already, and no commit was made.
    """

    url: str
    commit: str
    changed: bool


def check(destination: Destination) -> bool:
    """Find out whether a push would be let in; nothing is made or sent.

    Returns:
        Whether the repository exists.

    Raises:
        CallError: The name, the token or the visibility; the message says which.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    _check_call(destination)
    if not get_token():
        raise SourceError(
            "No Hub token is set, so nothing can be pushed.", "Run `hf auth login` with a write token, or set HF_TOKEN."
        )
    problem = sources.hub_problem()
    if problem is not None:
        raise SourceError(f"{problem}, so nothing can be pushed.", "`toolkit doctor` looks at the Hub and the token.")
    api = HfApi()
    with _said(destination, SourceError):
        account = _patiently(api.whoami)
        _check_role(account, destination)
        try:
            found = _patiently(lambda: api.model_info(destination.name))
        except RepositoryNotFoundError:
            found = None
        if found is not None and not destination.pull_request:
            _patiently(lambda: api.auth_check(destination.name, write=True))
    if found is None and destination.pull_request:
        raise SourceError(
            f"The Hub has no model {destination.name} that you may read, so there is nothing to propose a change to.",
            "Check the spelling, or push without --pr.",
        )
    if found is not None and not destination.pull_request:
        _check_visibility(bool(found.private), destination)
    return found is not None


def _check_call(destination: Destination) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(destination.name)
        valid = destination.name.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        raise ConfigError(
            f"`{destination.name}` is not the name of a repository on the Hub.",
            "Give org/name: letters, digits, `-`, `_` and `.`, 96 signs at most.",
        )
    if destination.pull_request and (destination.revision or destination.tag):
        raise ConfigError("A pull request goes to main, and carries no tag.", "Leave out --revision and --tag.")


def _check_role(account: Mapping[str, Any], destination: Destination) -> None:
    """Refuse a token that may not write there."""
    access = (account.get("auth") or {}).get("accessToken") or {}
    owner = destination.name.partition("/")[0]
    role = access.get("role")
    if role == "read":
        raise SourceError(
            "The Hub token may only read.", "Make a token with the role `write` on the Hub, and run `hf auth login`."
        )
    if destination.pull_request:
        return
    if role == "fineGrained":
        scopes = (access.get("fineGrained") or {}).get("scoped") or ()
        may = any(
            (scope.get("entity") or {}).get("name") in (owner, destination.name)
            and "repo.write" in scope.get("permissions", ())
            for scope in scopes
        )
    else:
        member = [org for org in account.get("orgs") or () if org.get("name") == owner]
        may = owner == account.get("name") or any(org.get("roleInOrg") != "read" for org in member)
    if not may:
        raise _no_access(destination, SourceError)


def _check_visibility(private: bool, destination: Destination) -> None:
    if private and destination.public:
        raise ConfigError(
            f"{destination.name} exists and is private, but --public was given.",
            "Leave out --public, or make it public in its settings on the Hub first.",
        )
    if not private and not destination.public:
        raise ConfigError(
            f"{destination.name} exists and is public, and a push is private unless told otherwise.",
            "Add --public to `toolkit push` if everybody may read it, or name another repository.",
        )


def licence_of(model: str) -> str | None:
    """Return the licence that a model's page on the Hub states, or None."""
    from huggingface_hub import HfApi

    if sources.hub_problem() is not None:
        return None
    try:
        data = HfApi().model_info(model).card_data
    except Exception:  # a page that cannot be read states nothing
        return None
    stated = getattr(data, "license", None)
    return stated if isinstance(stated, str) else None


def check_card(text: str, destination: Destination) -> None:
    """Let the Hub validate a model card.

    Raises:
        ConfigError: The Hub does not accept it; the message quotes why.
    """
    from huggingface_hub import ModelCard

    card = ModelCard(text, ignore_metadata_errors=False)
    with _said(destination, SourceError):
        try:
            _patiently(card.validate)
        except ValueError as error:
            raise ConfigError(
                f"The Hub does not accept the model card: {' '.join(str(error).split())[:400]}.",
                "Most often it is the licence: give one of the Hub's names with --license, such as apache-2.0.",
            ) from error


def publish(files: Mapping[str, Content], destination: Destination, title: str) -> Pushed:
    """Put files on the Hub in one commit.

    Args:
        files: Path in the repository → file here, or bytes.
        destination: Where; `check` was asked before.
        title: Of the commit.

    Raises:
        RunError: The Hub refused, or the line was cut; the same call may be repeated.
    """
    from huggingface_hub import HfApi

    refuse_secrets(files)
    api = HfApi()
    with _said(destination, RunError), _calm():
        if not destination.pull_request:
            private = not destination.public
            _patiently(lambda: api.create_repo(destination.name, private=private, exist_ok=True))
            _make_branch(api, destination)
        pushed = _patiently(lambda: _commit(api, files, destination, title))
        if destination.tag is not None:
            _tag(api, destination, pushed.commit)
    return pushed


def _make_branch(api: Any, destination: Destination) -> None:
    branch = destination.revision
    if branch in (None, "main"):
        return
    refs = _patiently(lambda: api.list_repo_refs(destination.name))
    if branch not in [one.name for one in refs.branches]:
        _patiently(lambda: api.create_branch(destination.name, branch=branch, exist_ok=True))


def _commit(api: Any, files: Mapping[str, Content], destination: Destination, title: str) -> Pushed:
    """Make the commit; called again after a failure, it finds what arrived."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    revision = destination.revision or "main"
    opened = _own_pull_request(api, destination, title) if destination.pull_request else None
    revision = opened or revision
    before = api.model_info(destination.name, revision=revision).sha
    held = api.list_repo_files(destination.name, revision=revision)
    stale = [path for path in held if _OURS.fullmatch(path) and path not in files]
    # the operations are spent by a commit, so that each attempt makes its own
    info = api.create_commit(
        destination.name,
        [
            *(CommitOperationAdd(path, content) for path, content in files.items()),
            *(CommitOperationDelete(path) for path in stale),
        ],
        commit_message=title,
        revision=revision,
        create_pr=destination.pull_request and opened is None,
    )
    return Pushed(info.pr_url or info.commit_url, info.oid, info.oid != before)


def _own_pull_request(api: Any, destination: Destination, title: str) -> str | None:
    """Find the branch of the open pull request that an earlier push made."""
    author = api.whoami()["name"]
    for one in api.get_repo_discussions(destination.name, author=author, discussion_type="pull_request"):
        if one.title == title and one.status in ("open", "draft"):
            return str(one.git_reference)
    return None


def _tag(api: Any, destination: Destination, commit: str) -> None:
    refs = _patiently(lambda: api.list_repo_refs(destination.name))
    marked = next((one.target_commit for one in refs.tags if one.name == destination.tag), None)
    if marked is not None and marked != commit:
        raise RunError(
            f"The model was pushed, but the tag {destination.tag} marks an earlier commit, and tags do not move.",
            "Push again with another --tag: the files are not sent again.",
        )
    if marked is None:
        _patiently(lambda: api.create_tag(destination.name, tag=destination.tag, revision=commit, exist_ok=True))


def refuse_secrets(files: Mapping[str, Content]) -> None:
    """Stop a push whose texts hold the token or the user's home folder: the last look before anything leaves.

    Raises:
        RunError: One does.
    """
    from huggingface_hub import get_token

    token = get_token()
    home = _home()
    for path, content in files.items():
        if path.endswith(".safetensors"):
            continue
        text = content if isinstance(content, bytes) else content.read_bytes()
        for what, secret in (("the Hub token", token), ("the path of your home folder", home)):
            if secret and secret.encode() in text:
                raise RunError(
                    f"{path} holds {what}, so nothing was pushed.", "Take it out of the run directory's files first."
                )


def _home() -> str | None:
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return f"{home}/" if len(home.parts) > 1 else None


def _patiently(action: Callable[[], T]) -> T:
    """Try again when the Hub is busy or the line is cut, after the time that it asks for."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except Exception as error:
            wait = _wait_before_retry(error, attempt)
            if wait is None or attempt == ATTEMPTS:
                raise
            time.sleep(wait)
    raise AssertionError  # the loop returns or raises


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Return the seconds to wait, or None where another try is of no use."""
    import httpx2

    status = _status(error)
    if status is None and not isinstance(error, httpx2.TransportError):
        return None
    if status is not None and status != 429 and (status < 500 or status == 501):
        return None
    response = getattr(error, "response", None)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked), LONGEST_WAIT) if asked.isdigit() else float(2 ** (attempt - 1))


def _status(error: Exception) -> int | None:
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return int(error.response.status_code)
    return None


@contextmanager
def _said(destination: Destination, kind: type[CallError] | type[RunError]) -> Iterator[None]:
    """Turn the Hub's errors into what the user should do."""
    try:
        yield
    except ToolkitError:
        raise
    except Exception as error:
        mended = _push_error(error, destination, kind)
        if mended is None:
            raise
        raise mended from error


def _no_access(destination: Destination, kind: type[ToolkitError]) -> ToolkitError:
    return kind(
        f"This token may not write to {destination.name}.",
        "Use a token with the role `write` of an account that may, another name, or --pr to propose the change.",
    )


def _push_error(error: Exception, destination: Destination, kind: type[ToolkitError]) -> ToolkitError | None:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

    status, again = _status(error), "Repeat the same command; what has arrived is not sent again."
    if isinstance(error, RevisionNotFoundError):
        return kind(f"{destination.name} has no branch {destination.revision}.", "Check --revision.")
    if status == 401:
        return kind("The Hub refuses the token.", "Run `hf auth login` with a valid write token, or set HF_TOKEN.")
    if status == 403:
        return _no_access(destination, kind)
    if status in (409, 412):
        return kind(f"Somebody else changed {destination.name} meanwhile.", again)
    if status == 429:
        return kind(f"The Hub takes no more requests just now, so {destination.name} was not pushed.", f"Wait. {again}")
    if isinstance(error, httpx2.TransportError):
        return kind(f"The connection to the Hub was cut ({type(error).__name__}).", again)
    if isinstance(error, HfHubHTTPError):
        reason = str(error).strip().partition("\n")[0]
        return kind(f"The Hub did not take {destination.name}: {reason}", f"{again} `toolkit doctor` looks at the Hub.")
    return None


@contextmanager
def _calm() -> Iterator[None]:
    """Keep the client's own warnings off the screen, such as that nothing changed."""
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity(40)  # logging.ERROR
    try:
        yield
    finally:
        logging.set_verbosity(level)
