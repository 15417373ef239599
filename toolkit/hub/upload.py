"""The only file that uploads: the repository if it is new, one commit, a tag; nothing when the Hub holds the same.

The same call repeats an interrupted push: large files that arrived are not sent again.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError, RunError, SourceError
from toolkit.hub.destinations import Destination
from toolkit.hub.responses import patiently, translated_errors

Content = Path | bytes

# Files of an earlier push that may be obsolete: weights in other shards, adapters, results.
_OURS = re.compile(
    r"(adapter_)?model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|adapter_config\.json|"
    r"(adapter|plots|examples)/[^/]+|"
    r"onnx/model(_quantized)?\.onnx(_data)?|openvino/openvino_model\.(xml|bin)|\.eval_results/toolkit\.yaml"
)


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
        destination: Where; `hub.destinations.check` was asked before.
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
        if path.endswith((".safetensors", ".bin", ".onnx_data")):
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
