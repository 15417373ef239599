"""The only file that uploads: who may write where, and everything in one commit.

    check ──→ name, token, permission, visibility; nothing is created or sent
    publish → the repository if it is new, one commit, a tag; nothing if the Hub already has the same files

The same call repeats an interrupted push: large files that arrived are not sent again.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import sources
from toolkit.errors import ConfigError, RunError, SourceError
from toolkit.hub.responses import no_access, patiently, translated_errors, unless_unknown

Content = Path | bytes

# Files of an earlier push that may be obsolete: weights in other shards, adapters, results.
_OURS = re.compile(
    r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|adapter/[^/]+|plots/[^/]+|\.eval_results/toolkit\.yaml"
)
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")


@dataclass(frozen=True)
class Destination:
    """Where to push.

    Attributes:
        name: The repository, org/name.
        public: Whether everybody may read it.
        revision: Branch; main when None. One that does not exist is created.
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
        changed: False if the Hub already had the same files, and no commit was made.
        revision: Where the files are now: main, another branch, or the pull request's own.
    """

    url: str
    commit: str
    changed: bool
    revision: str


def check(destination: Destination) -> bool:
    """Check whether a push would be accepted; nothing is created or sent.

    Returns:
        Whether the repository exists.

    Raises:
        CallError: The name, the token or the visibility; named in the message.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    check_call(destination)
    problem = obstacle()
    if problem is not None:
        raise problem
    api = HfApi()
    with translated_errors(destination.name, SourceError):
        account = patiently(api.whoami)
        _check_role(account, destination)
        try:
            info = patiently(lambda: api.model_info(destination.name))
        except RepositoryNotFoundError:
            info = None
        if info is not None and not destination.pull_request:
            unless_unknown(lambda: api.auth_check(destination.name, write=True))
    if info is None and destination.pull_request:
        raise SourceError(
            f"The Hub has no model {destination.name} that you may read, so there is nothing to propose a change to.",
            "Check the spelling, or push without --pr.",
            id="hub.not-found",
        )
    if info is not None and not destination.pull_request:
        _check_visibility(bool(info.private), destination)
    return info is not None


def obstacle() -> SourceError | None:
    """Return why nothing can be pushed from here to any repository; None where it can."""
    from huggingface_hub import get_token

    if not get_token():
        return SourceError(
            "No Hub token is set, so nothing can be pushed.",
            "Run `hf auth login` with a write token, or set HF_TOKEN.",
            id="hub.no-token",
        )
    problem = sources.hub_problem()
    if problem is not None:
        return SourceError(
            f"{problem}, so nothing can be pushed.",
            "`toolkit doctor` checks the Hub and the token.",
            id="hub.unreachable",
        )
    return None


def check_call(destination: Destination) -> None:
    """Check a destination without the Hub.

    Raises:
        ConfigError: It cannot be the name of a repository, a branch or a tag.
    """
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
            "Give org/name: letters, digits, `-`, `_` and `.`, 96 characters at most.",
            id="hub.invalid-name",
        )
    if destination.pull_request and (destination.revision or destination.tag):
        raise ConfigError(
            "A pull request targets main and has no tag.", "Leave out --revision and --tag.", id="config.conflict"
        )
    for what, name in (("branch", destination.revision), ("tag", destination.tag)):
        if name is not None and not _names_a_ref(name):
            raise ConfigError(
                f"`{name}` is not a valid name of a {what}.",
                "Use letters and digits, with single `-`, `_`, `.` or `/` between them, such as v1.0.",
                id="hub.invalid-name",
            )


def _names_a_ref(name: str) -> bool:
    """Whether git accepts a name of a branch or a tag, by the rules of `git check-ref-format`."""
    parts = name.split("/")
    return not (
        _NOT_IN_A_REF.search(name)
        or name in ("@", "HEAD")
        or name.startswith(("-", "refs/"))
        or name.endswith(".")
        or re.fullmatch(r"[0-9a-f]{40}", name)  # a commit's own
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )


def _check_role(account: Mapping[str, Any], destination: Destination) -> None:
    """Refuse a token that may not write there."""
    access = (account.get("auth") or {}).get("accessToken") or {}
    owner = destination.name.partition("/")[0]
    role = access.get("role")
    if role == "read":
        raise SourceError(
            "The Hub token is read-only.",
            "Create a token with the role `write` on the Hub, and run `hf auth login`.",
            id="hub.no-write-access",
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
        raise no_access(destination.name, SourceError)


def _check_visibility(private: bool, destination: Destination) -> None:
    if private and destination.public:
        raise ConfigError(
            f"{destination.name} exists and is private, but --public was given.",
            "Leave out --public, or make it public in its settings on the Hub first.",
            id="hub.visibility",
        )
    if not private and not destination.public:
        raise ConfigError(
            f"{destination.name} exists and is public, but a push is private by default.",
            "Add --public to `toolkit push` if everybody may read it, or give another repository.",
            id="hub.visibility",
        )


def licence_of(model: str) -> str | None:
    """Return the licence that a model's page on the Hub states, or None."""
    from huggingface_hub import HfApi

    if sources.hub_problem() is not None:
        return None
    try:
        data = HfApi().model_info(model).card_data
    except Exception:  # an unreadable page has no licence
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
    with translated_errors(destination.name, SourceError):
        try:
            patiently(card.validate)
        except ValueError as error:
            raise ConfigError(
                f"The Hub rejects the model card: {_card_faults(str(error))}",
                "The usual cause is the licence: give one of the Hub's names with --license, such as apache-2.0.",
                id="hub.card-rejected",
            ) from error


def _card_faults(answer: str) -> str:
    """Return the sentences in the Hub's response on a card, which is usually JSON."""
    try:
        faults = [str(entry["message"]) for entry in json.loads(answer)["errors"]]
    except (ValueError, TypeError, KeyError):
        faults = [answer]
    return " ".join(f"{' '.join(fault.split())[:400].rstrip('.')}." for fault in faults)


def check_tag(files: Mapping[str, Content], destination: Destination) -> None:
    """Refuse a push to an existing repository whose tag would have to move.

    A tag of the branch's newest commit stays if these files are its content.

    Raises:
        ConfigError: The tag marks another commit.
    """
    from huggingface_hub import HfApi

    if destination.tag is None:
        return
    api, branch = HfApi(), destination.revision or "main"
    with translated_errors(destination.name, SourceError):
        refs = patiently(lambda: api.list_repo_refs(destination.name))
        marked = _target(refs.tags, destination.tag)
        if marked is None or (
            marked == _target(refs.branches, branch) and patiently(lambda: _holds(api, files, destination))
        ):
            return
    raise ConfigError(
        f"The tag {destination.tag} of {destination.name} marks an earlier commit, and tags are never moved.",
        "Give another --tag, or delete this one on the Hub first.",
        id="hub.tag-taken",
    )


def _target(refs: Iterable[Any], name: str) -> str | None:
    """Return the commit of a branch or a tag, or None."""
    return next((str(ref.target_commit) for ref in refs if ref.name == name), None)


def _holds(api: Any, files: Mapping[str, Content], destination: Destination) -> bool:
    """Whether the branch holds exactly these files, and none that an earlier push left."""
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.utils.sha import git_hash, sha_fileobj

    tree = api.list_repo_tree(destination.name, recursive=True, revision=destination.revision)
    held = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    if files.keys() - held.keys() or _stale(held, files):
        return False
    for path, content in files.items():
        there = held[path]
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
            if there.lfs is None:
                same = there.blob_id == git_hash(stream.read())
            else:
                same = there.lfs.sha256 == sha_fileobj(stream).hex()
        if not same:
            return False
    return True


def _stale(held: Iterable[str], files: Mapping[str, Content]) -> list[str]:
    """Return which of the files on the Hub an earlier push left, and this one does not have."""
    return [path for path in held if _OURS.fullmatch(path) and path not in files]


def publish(files: Mapping[str, Content], destination: Destination, title: str) -> Pushed:
    """Put files on the Hub in one commit.

    Args:
        files: Path in the repository → file here, or bytes.
        destination: Where; `check` was called before.
        title: Of the commit.

    Raises:
        RunError: The Hub refused, or the connection was lost; the same call may be repeated.
    """
    from huggingface_hub import HfApi

    refuse_secrets(files)
    api = HfApi()
    with translated_errors(destination.name, RunError), _calm():
        if not destination.pull_request:
            private = not destination.public
            patiently(lambda: api.create_repo(destination.name, private=private, exist_ok=True))
            _make_branch(api, destination)
        pushed = patiently(lambda: _commit(api, files, destination, title))
        if destination.tag is not None:
            _tag(api, destination, pushed.commit)
    return pushed


def _make_branch(api: Any, destination: Destination) -> None:
    branch = destination.revision
    if branch in (None, "main"):
        return
    refs = patiently(lambda: api.list_repo_refs(destination.name))
    if branch not in [ref.name for ref in refs.branches]:
        patiently(lambda: api.create_branch(destination.name, branch=branch, exist_ok=True))


def _commit(api: Any, files: Mapping[str, Content], destination: Destination, title: str) -> Pushed:
    """Make the commit; a repeated call reuses uploaded files."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    opened = _own_pull_request(api, destination, title) if destination.pull_request else None
    revision = opened.git_reference if opened is not None else destination.revision or "main"
    before = api.model_info(destination.name, revision=revision).sha
    held = api.list_repo_files(destination.name, revision=revision)
    # the operations are spent by a commit, so that each attempt makes its own
    info = api.create_commit(
        destination.name,
        [
            *(CommitOperationAdd(path, content) for path, content in files.items()),
            *(CommitOperationDelete(path) for path in _stale(held, files)),
        ],
        commit_message=title,
        revision=revision,
        create_pr=destination.pull_request and opened is None,
    )
    url = info.pr_url or (opened.url if opened is not None else info.commit_url)
    return Pushed(url, info.oid, info.oid != before, info.pr_revision or revision)


def _own_pull_request(api: Any, destination: Destination, title: str) -> Any:
    """Find the open pull request that an earlier push made; None without one."""
    author = api.whoami()["name"]
    for discussion in api.get_repo_discussions(destination.name, author=author, discussion_type="pull_request"):
        if discussion.title == title and discussion.status in ("open", "draft"):
            return discussion
    return None


def _tag(api: Any, destination: Destination, commit: str) -> None:
    refs = patiently(lambda: api.list_repo_refs(destination.name))
    marked = _target(refs.tags, str(destination.tag))
    if marked is not None and marked != commit:  # it was created after `check_tag`
        raise RunError(
            f"The model was pushed, but the tag {destination.tag} marks another commit, and tags are never moved.",
            "Push again with another --tag: the files are not sent again.",
            id="hub.tag-taken",
        )
    if marked is None:
        patiently(lambda: api.create_tag(destination.name, tag=destination.tag, revision=commit, exist_ok=True))


def refuse_secrets(files: Mapping[str, Content]) -> None:
    """Stop a push whose texts contain the token or the path of the home folder; the last check before the upload.

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
                    f"{path} holds {what}, so nothing was pushed.",
                    "Remove it from the run directory's files first.",
                    id="hub.secret-in-files",
                )


def _home() -> str | None:
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return f"{home}/" if len(home.parts) > 1 else None


@contextmanager
def _calm() -> Iterator[None]:
    """Silence the client's own warnings, such as that nothing changed."""
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity(40)  # logging.ERROR
    try:
        yield
    finally:
        logging.set_verbosity(level)
