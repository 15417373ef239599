"""Repositories as the Hub holds them: chains of commits, as in git, over files that are kept once per content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

LFS_SUFFIXES = {".safetensors", ".bin", ".parquet", ".arrow", ".onnx", ".pt", ".msgpack", ".zip", ".gz", ".npy"}
DATE = "2024-01-01T00:00:00.000Z"  # of everything: commit ids must not depend on the day of the test
MAIN = "refs/heads/main"


class UnknownRevisionError(LookupError):
    """No branch, tag, pull request or commit has this name."""


@dataclass(frozen=True)
class File:
    """The content of one file, kept at `path`; `lfs` when git holds a pointer in its place."""

    path: Path
    size: int
    sha256: str
    blob_id: str  # git's: of the pointer, for an LFS file
    lfs: dict[str, Any] | None

    @property
    def etag(self) -> str:
        """The key by which the client recognizes content it already has."""
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    """A state of a repository; `oid` is a hash of everything else, the parent's included."""

    oid: str
    parent: "Commit | None"
    title: str
    message: str
    author: str
    files: Mapping[str, File]


@dataclass
class Repo:
    """A model, data set or space: `refs` maps full names such as `refs/heads/main` to commits."""

    kind: str
    name: str
    private: bool = False
    gated: str | bool = False
    readers: set[str] = field(default_factory=set)  # users let into a private or gated repository
    info: dict[str, Any] = field(default_factory=dict)  # more fields for the repository's description
    refs: dict[str, Commit] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pull_requests: list[dict[str, Any]] = field(default_factory=list)  # as the Hub describes them

    @property
    def owner(self) -> str:
        """The user or organization it belongs to."""
        return self.name.split("/")[0]

    @property
    def page(self) -> str:
        """The path of its page: `/name`, `/datasets/name` or `/spaces/name`."""
        return f"/{self.name}" if self.kind == "model" else f"/{self.kind}s/{self.name}"

    def ref(self, rev: str) -> str:
        """The full name of a branch, tag or pull request."""
        for name in (rev, f"refs/heads/{rev}", f"refs/tags/{rev}"):
            if name in self.refs:
                return name
        raise UnknownRevisionError(f"Invalid rev id: {rev}")

    def at(self, rev: str) -> Commit:
        """The commit of a branch, tag, pull request or commit id."""
        return self.commits.get(rev) or self.refs[self.ref(rev)]

    def commit(self, ref: str, files: Mapping[str, File], title: str, author: str, message: str = "") -> Commit:
        """Put a new commit on top of `ref`, which is made if need be."""
        parent = self.refs.get(ref)
        content = [parent and parent.oid, title, message, author, sorted((p, f.sha256) for p, f in files.items())]
        oid = hashlib.sha1(json.dumps(content).encode()).hexdigest()
        self.refs[ref] = self.commits[oid] = Commit(oid, parent, title, message, author, dict(files))
        return self.refs[ref]

    def propose(self, title: str, author: str, status: str = "open") -> int:
        """Open a pull request whose branch starts at `main`, and return its number."""
        num = len(self.pull_requests) + 1
        self.refs[f"refs/pr/{num}"] = self.refs[MAIN]
        whose = {"title": title, "author": {"name": author}, "repo": {"name": self.name, "type": self.kind}}
        details = {"events": [], "filesWithConflicts": [], "changes": {"base": MAIN}, "diff": ""}
        state = {"num": num, "status": status, "isPullRequest": True, "createdAt": DATE}
        self.pull_requests.append(whose | state | details)
        return num


@dataclass
class Store:
    """A folder of contents, each named by its sha256."""

    folder: Path

    def path(self, sha256: str) -> Path:
        """The path of a content."""
        return self.folder / sha256

    def keep(self, name: str, data: bytes) -> File:
        """Keep a content; the name decides how git would."""
        sha256, size, lfs = hashlib.sha256(data).hexdigest(), len(data), None
        self.path(sha256).write_bytes(data)
        if is_lfs(name, size):
            data = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
            lfs = {"oid": sha256, "sha256": sha256, "size": size, "pointerSize": len(data)}
        return File(self.path(sha256), size, sha256, _blob_id(data), lfs)

    def keep_folder(self, folder: Path | None) -> dict[str, File]:
        """Keep all files of a folder, by their paths in it."""
        paths = [path for path in folder.rglob("*") if path.is_file()] if folder else []
        names = {path.relative_to(folder).as_posix(): path for path in paths}
        return {name: self.keep(name, names[name].read_bytes()) for name in sorted(names)}


def is_lfs(path: str, size: int) -> bool:
    """Whether git would hold a pointer in place of the file: for its name, or above the Hub's 10 MB."""
    return size > 0 and (PurePosixPath(path).suffix in LFS_SUFFIXES or size > 10_000_000)


def _blob_id(data: bytes) -> str:
    """The id that git gives to a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def listing(files: Mapping[str, File]) -> list[dict[str, Any]]:
    """Every file and every folder, sorted by path."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    entries = [{"type": "directory", "path": path, "size": 0, "oid": _blob_id(path.encode())} for path in folders]
    for path, file in files.items():
        lfs = {"lfs": file.lfs} if file.lfs else {}
        entries.append({"type": "file", "path": path, "size": file.size, "oid": file.blob_id, **lfs})
    return sorted(entries, key=lambda entry: entry["path"])
