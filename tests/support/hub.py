"""A small Hugging Face Hub on the loopback interface.

The real `huggingface_hub`, `transformers` and `datasets` clients talk to it through `HF_ENDPOINT`, so a test
sees the requests, the cache and the errors that a user would see, and nothing leaves the machine.

    with LocalHub() as hub:
        hub.add("someone/model", folder)
        subprocess.run(command, env=os.environ | hub.environment(tmp_path / "hf"))
        assert hub.seen(r"GET .*/resolve/main/model.safetensors")

Xet is used with clients that were given `environment(…, xet=True)`; in others `HF_HUB_DISABLE_XET=1` must be set
before they are imported, as `environment` does. It also names the hub as the proxy for every other host, so that
a request which would leave the machine is refused, and found by `hub.seen("CONNECT")`.
"""

import base64
import contextlib
import hashlib
import json
import re
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, parse_qsl, unquote

from tests.support.cards import card_errors
from tests.support.repository import DATE, LFS_SUFFIXES, MAIN, File, Repo, Store, UnknownRevisionError, is_lfs, listing
from tests.support.xet import TOKEN, XetStore

KIND = r"/(?:(?P<kind>dataset|space)s/)?(?P<name>[^/]+(?:/[^/]+)?)"
API = r"/api/(?P<kind>model|dataset|space)s/(?P<name>[^/]+(?:/[^/]+)?)"
REV = r"/(?P<rev>[^/]+)"


class Account(NamedTuple):
    """Who a token belongs to, and whether it may write."""

    name: str
    role: str  # "read" or "write"


@dataclass
class Fault:
    """A simulated fault for the next `times` requests whose "METHOD path" contains `match`."""

    match: str
    times: float
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int | None = None  # bytes of the body to send before hanging up

    def strikes(self, line: str) -> bool:
        """Whether it applies to this request; a HEAD has no body to cut."""
        bodiless = self.after is not None and line.startswith("HEAD ")
        struck = self.times > 0 and not bodiless and re.search(self.match, line) is not None
        self.times -= struck
        return struck


@dataclass
class Call:
    """A request, as the endpoints see it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: Account | None = None

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def flag(self, name: str) -> bool:
        """Whether a query parameter is set to something true."""
        return self.query.get(name, "").lower() in {"1", "true"}


@dataclass
class Reply:
    """What to send back: bytes as they are, and anything else as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes of the body after which to hang up


class Refusal(Exception):
    """An error as the Hub reports it: a status, and headers that the client turns into an exception class."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str):
        names = {"X-Error-Message": message.splitlines()[-1]} | ({"X-Error-Code": code} if code else {})
        self.reply = Reply({"error": message}, status, names | headers)


Endpoint = Callable[..., Reply]
ROUTES: list[tuple[str, re.Pattern[str], Endpoint]] = []


def route(method: str, pattern: str) -> Callable[[Endpoint], Endpoint]:
    """Answer `method pattern` with the decorated function; the pattern's groups become its arguments."""

    def register(endpoint: Endpoint) -> Endpoint:
        ROUTES.append((method, re.compile(pattern), endpoint))
        return endpoint

    return register


class LocalHub:
    """A Hub that contains only what the test adds. Use it as a context manager.

    `token` may write to the repositories of `user` and of `organizations`, `read_token` only read them; any other
    token is refused. `requests` holds the (method, path with query) of every request, in order.
    """

    user = "tester"
    organizations = ("acme",)
    token = "local-write-token"
    read_token = "local-read-token"

    def __init__(self) -> None:
        self.accounts = {self.token: Account(self.user, "write"), self.read_token: Account(self.user, "read")}
        self.repos: dict[tuple[str, str], Repo] = {}
        self.requests: list[tuple[str, str]] = []
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._folder = tempfile.TemporaryDirectory(prefix="local-hub-")
        self._store = Store(Path(self._folder.name))
        self.xet = XetStore(Path(self._folder.name) / "xet-storage")
        self._server = _Server(self)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._folder.cleanup()

    # What tests call.

    @property
    def endpoint(self) -> str:
        """The value for `HF_ENDPOINT`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, cache: Path, token: str = "", *, xet: bool = False) -> dict[str, str]:
        """The variables that direct a subprocess here, with a cache of its own; merge them into `os.environ`."""
        switches = ["HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"]
        offline = ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"]
        folders = {"HF_HOME": "", "HF_HUB_CACHE": "hub", "HF_DATASETS_CACHE": "datasets", "HF_TOKEN_PATH": "token"}
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": token,
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # datasets would call another host, to count
            **dict.fromkeys(["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"], self.endpoint),
            **dict.fromkeys(["ALL_PROXY", "all_proxy"], ""),
            **dict.fromkeys(["NO_PROXY", "no_proxy"], "127.0.0.1"),
            **{name: str(cache / folder) for name, folder in folders.items()},
            **dict.fromkeys(switches, "1"),
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            **dict.fromkeys(offline, "0"),
        }

    def add(
        self,
        name: str,
        folder: Path | None = None,
        kind: str = "model",
        *,
        private: bool = False,
        gated: str | bool = False,
        info: dict[str, Any] | None = None,
    ) -> str:
        """Put a folder's files on the main branch, replacing its content, and return the commit's id.

        `info` adds fields to the repository's description, such as `{"pipeline_tag": "text-classification"}`.
        """
        with self._lock:
            repo = self.repos.setdefault((kind, name), Repo(kind, name))
            repo.private, repo.gated, repo.info = private, gated, info or {}
            return repo.commit(MAIN, self._store.keep_folder(folder), "Add files", repo.owner).oid

    def add_pull_request(self, name: str, title: str, author: str, folder: Path, kind: str = "model") -> int:
        """Open a pull request that adds a folder's files to the main branch, and return its number."""
        with self._lock:
            repo = self.repos[kind, name]
            num = repo.propose(title, author)
            repo.commit(f"refs/pr/{num}", {**repo.at("main").files, **self._store.keep_folder(folder)}, title, author)
            return num

    def files(self, name: str, rev: str = "main", kind: str = "model") -> dict[str, Path]:
        """The files of a repository: each path in it, and where its bytes can be read."""
        return {path: file.path for path, file in self.repos[kind, name].at(rev).files.items()}

    def seen(self, pattern: str) -> list[str]:
        """The requests so far, written "METHOD path", that contain a pattern."""
        return [line for line in map(" ".join, self.requests) if re.search(pattern, line)]

    def fail(
        self,
        match: str,
        status: int,
        times: float = 1,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        """Answer the next `times` requests whose "METHOD path" contains `match` with an error."""
        self._faults.append(Fault(match, times, status, code, headers or {}))

    def cut(self, match: str, after: int, times: float = 1) -> None:
        """Hang up after `after` bytes of the body, the next `times` a matching request needs a body."""
        self._faults.append(Fault(match, times, after=after))

    # How a request becomes a reply.

    def serve(self, call: Call, line: str) -> Reply:
        """The reply to a request; `line` is its method and path, as `seen` and the faults match it."""
        with self._lock:
            fault = next((f for f in self._faults if f.strikes(line)), None)
            try:
                if fault and fault.after is None:
                    raise Refusal(fault.status, "A simulated fault", fault.code, **fault.headers)
                reply = self._answer(call)
                reply.cut = fault and fault.after
                return reply
            except Refusal as refusal:
                return refusal.reply
            except UnknownRevisionError as unknown:
                return Refusal(404, str(unknown), "RevisionNotFound").reply
            except Exception:  # 501 and not 500: the client does not try again
                return Refusal(501, f"LocalHub failed at {line}\n{traceback.format_exc()}").reply

    def _answer(self, call: Call) -> Reply:
        call.user = self._account(call)
        for method, pattern, endpoint in ROUTES:
            result = pattern.fullmatch(call.path)
            if result and method == call.method.replace("HEAD", "GET"):
                parts = {key: unquote(value) for key, value in result.groupdict().items() if value is not None}
                if "name" not in parts:
                    return endpoint(self, call, **parts)
                repo = self._visible(call.user, parts.pop("kind", "model"), parts.pop("name"))
                return endpoint(self, call, repo, **parts)
        raise Refusal(501, f"LocalHub does not answer {call.method} {call.path}")

    # Who may do what.

    def _account(self, call: Call) -> Account | None:
        token = call.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.accounts:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.accounts.get(token)

    def _owns(self, user: Account | None, namespace: str) -> bool:
        return user is not None and (namespace == user.name or namespace in self.organizations)

    def _reads(self, user: Account | None, repo: Repo) -> bool:
        return self._owns(user, repo.owner) or (user is not None and user.name in repo.readers)

    def _visible(self, user: Account | None, kind: str, name: str) -> Repo:
        repo = self.repos.get((kind, name))
        if repo is None or (repo.private and not self._reads(user, repo)):
            raise Refusal(404 if user else 401, "Repository not found", "RepoNotFound")
        return repo

    def _check_gate(self, user: Account | None, repo: Repo) -> None:
        if repo.gated and not self._reads(user, repo):
            message = f"Access to {repo.kind} {repo.name} is restricted and you are not in the authorized list."
            raise Refusal(403 if user else 401, message, "GatedRepo")

    def _writer(self, user: Account | None, namespace: str | None = None) -> str:
        """The name of the writing account, if permitted; without a namespace only for a proposed change."""
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        if user.role != "write" or not (namespace is None or self._owns(user, namespace)):
            raise Refusal(403, "Forbidden: you must use a write token and own the repository, or pass `create_pr=1`")
        return user.name

    def _committer(self, call: Call, repo: Repo, rev: str) -> str:
        """The name of the committing account; every writer may commit to pull requests."""
        proposes = call.flag("create_pr") or rev.startswith("refs/pr/")
        return self._writer(call.user, None if proposes else repo.owner)

    # Endpoints: accounts and repositories.

    @route("GET", "/api/whoami-v2")
    def whoami(self, call: Call) -> Reply:
        if call.user is None:
            raise Refusal(401, "Invalid username or password.")
        orgs = [{"type": "org", "name": name, "roleInOrg": "write"} for name in self.organizations]
        access = {"displayName": "test", "role": call.user.role}
        return Reply({"type": "user", "name": call.user.name, "orgs": orgs, "auth": {"accessToken": access}})

    @route("POST", "/api/validate-yaml")
    def validate_card(self, call: Call) -> Reply:
        errors = card_errors(call.json()["content"])
        return Reply({"errors": [{"message": error} for error in errors], "warnings": []}, 400 if errors else 200)

    @route("POST", "/api/repos/create")
    def create(self, call: Call) -> Reply:
        wish = call.json()
        kind, namespace = wish.get("type") or "model", wish.get("organization") or self.user
        author, name = self._writer(call.user, namespace), f"{namespace}/{wish['name']}"
        repo = Repo(kind, name, private=wish.get("visibility") == "private")
        url = {"url": self.endpoint + repo.page}
        if (kind, name) in self.repos:
            return Reply({"error": "You already created this repo", **url}, 409)
        patterns = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in sorted(LFS_SUFFIXES))
        repo.commit(
            MAIN, {".gitattributes": self._store.keep(".gitattributes", patterns.encode())}, "initial commit", author
        )
        self.repos[kind, name] = repo
        return Reply(url)

    @route("DELETE", "/api/repos/delete")
    def delete(self, call: Call) -> Reply:
        wish = call.json()
        name = f"{wish.get('organization') or self.user}/{wish['name']}"
        repo = self._visible(call.user, wish.get("type") or "model", name)
        self._writer(call.user, name.split("/")[0])
        return Reply({"deleted": self.repos.pop((repo.kind, repo.name)).name})

    @route("PUT", API + "/settings")
    def settings(self, call: Call, repo: Repo) -> Reply:
        self._writer(call.user, repo.owner)
        wish = call.json()
        repo.gated = wish.get("gated", repo.gated)
        repo.private = wish.get("visibility", "private" if repo.private else "public") == "private"
        return Reply({"private": repo.private, "gated": repo.gated})

    @route("GET", API + "/auth-check(?P<write>/write)?")
    def check_access(self, call: Call, repo: Repo, write: str = "") -> Reply:
        self._check_gate(call.user, repo)
        if write:
            self._writer(call.user, repo.owner)
        return Reply({})

    # Endpoints: reading.

    @route("GET", API + "/tree" + REV + "(?:/(?P<path>.+))?")
    def tree(self, call: Call, repo: Repo, rev: str, path: str = "") -> Reply:
        files = repo.at(rev).files
        inside = [entry for entry in listing(files) if PurePosixPath(path) in PurePosixPath(entry["path"]).parents]
        if path and not inside:
            raise Refusal(404, f"{path} does not exist on {rev}", "EntryNotFound")
        depth = len(PurePosixPath(path).parts) + 1
        wanted = inside if call.flag("recursive") else [e for e in inside if e["path"].count("/") < depth]
        return Reply(wanted)

    @route("POST", API + "/paths-info" + REV)
    def paths(self, call: Call, repo: Repo, rev: str) -> Reply:
        wanted = parse_qs(call.body.decode()).get("paths", [])
        return Reply([entry for entry in listing(repo.at(rev).files) if entry["path"] in wanted])

    @route("GET", API + "/refs")
    def refs(self, call: Call, repo: Repo) -> Reply:
        groups: dict[str, list[dict[str, str]]] = {"heads": [], "tags": [], "pr": []}
        for ref, commit in repo.refs.items():
            _, group, name = ref.split("/", 2)
            groups[group].append({"name": name, "ref": ref, "targetCommit": commit.oid})
        names = {"branches": "heads", "tags": "tags", "pullRequests": "pr"}
        return Reply({name: groups[group] for name, group in names.items()} | {"converts": []})

    @route("GET", API + "/commits" + REV)
    def history(self, call: Call, repo: Repo, rev: str) -> Reply:
        log, commit = [], repo.at(rev)
        while commit:
            about = {"title": commit.title, "message": commit.message, "authors": [{"user": commit.author}]}
            log.append({"id": commit.oid, "date": DATE, **about})
            commit = commit.parent
        return Reply(log)

    @route("GET", KIND + "/resolve" + REV + "/(?P<path>.+)")
    def resolve(self, call: Call, repo: Repo, rev: str, path: str) -> Reply:
        self._check_gate(call.user, repo)
        commit = repo.at(rev)
        headers = {"X-Repo-Commit": commit.oid}
        if (file := commit.files.get(path)) is None:
            raise Refusal(404, "Entry not found", "EntryNotFound", **headers)
        headers |= {"Accept-Ranges": "bytes", "ETag": f'"{file.etag}"'}
        if file.lfs:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(file.size)}
            if (name := self.xet.hash_of(file.sha256)) is not None:
                token = f"{self.endpoint}/api/{repo.kind}s/{repo.name}/xet-read-token/{commit.oid}"
                headers |= {"X-Xet-Hash": name, "Link": f'<{token}>; rel="xet-auth"'}
        return _part(file, call.headers.get("Range"), headers)

    # Endpoints: pull requests.

    @route("GET", API + "/discussions")
    def discussions(self, call: Call, repo: Repo) -> Reply:
        author, status = call.query.get("author"), call.query.get("status", "all")
        results = [
            item
            for item in repo.pull_requests
            if author in {None, item["author"]["name"]} and status in {"all", item["status"].replace("draft", "open")}
        ]
        return Reply({"discussions": results, "count": len(results), "start": 0})

    @route("GET", API + "/discussions/(?P<num>[0-9]+)")
    def discussion(self, call: Call, repo: Repo, num: str) -> Reply:
        if int(num) > len(repo.pull_requests):
            raise Refusal(404, "Discussion not found")
        return Reply(repo.pull_requests[int(num) - 1])

    @route("POST", API + "/discussions")
    def propose(self, call: Call, repo: Repo) -> Reply:
        num = repo.propose(call.json()["title"], self._writer(call.user), "draft")
        return Reply(repo.pull_requests[num - 1])

    # Endpoints: writing.

    @route("POST", API + "/preupload" + REV)
    def preupload(self, call: Call, repo: Repo, rev: str) -> Reply:
        self._committer(call, repo, rev)
        held = repo.at(rev).files
        answers = []
        for file in call.json()["files"]:
            path, mode = file["path"], "lfs" if is_lfs(file["path"], file["size"]) else "regular"
            oid = held[path].etag if path in held else None
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return Reply({"files": answers})

    @route("POST", KIND + r"\.git/info/lfs/objects/batch")
    def lfs_batch(self, call: Call, repo: Repo) -> Reply:
        self._writer(call.user)
        objects = []
        for wish in call.json()["objects"]:
            held = self._store.path(wish["oid"]).is_file()
            upload = {"actions": {"upload": {"href": f"{self.endpoint}/lfs/{wish['oid']}"}}}
            objects.append({"oid": wish["oid"], "size": wish["size"], **({} if held else upload)})
        return Reply({"transfer": "basic", "objects": objects})

    @route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_upload(self, call: Call, oid: str) -> Reply:
        if hashlib.sha256(call.body).hexdigest() != oid:
            raise Refusal(400, "The content does not have the sha256 that was announced")
        self._store.keep("", call.body)
        return Reply({})

    @route("GET", API + "/xet-(?P<access>read|write)-token" + REV)
    def xet_token(self, call: Call, repo: Repo, access: str, rev: str) -> Reply:
        if access == "write":
            self._committer(call, repo, rev)
        ends = int(time.time()) + 3600
        headers = {"Cas-Url": self.xet.endpoint, "Access-Token": TOKEN, "Token-Expiration": str(ends)}
        grant = {"casUrl": self.xet.endpoint, "accessToken": TOKEN, "exp": ends}
        return Reply(grant, headers={f"X-Xet-{name}": value for name, value in headers.items()})

    @route("POST", API + "/commit" + REV)
    def commit(self, call: Call, repo: Repo, rev: str) -> Reply:
        author = self._committer(call, repo, rev)
        ref = repo.ref(rev)
        header, *operations = [json.loads(line) for line in call.body.splitlines() if line]
        title, parent = header["value"]["summary"], header["value"].get("parentCommit", "")
        if not call.flag("create_pr") and not repo.refs[ref].oid.startswith(parent):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.refs[ref].files)
        for operation in operations:
            self._apply(files, operation["key"], operation["value"])
        reply = {}
        if call.flag("create_pr"):
            num = repo.propose(title, author)
            ref = f"refs/pr/{num}"
            reply["pullRequestUrl"] = f"{self.endpoint}{repo.page}/discussions/{num}"
        oid = repo.commit(ref, files, title, author, header["value"].get("description", "")).oid
        return Reply({**reply, "commitOid": oid, "commitUrl": f"{self.endpoint}{repo.page}/commit/{oid}"})

    def _apply(self, files: dict[str, File], key: str, value: dict[str, Any]) -> None:
        path = value["path"]
        if key == "file":
            files[path] = self._store.keep(path, base64.b64decode(value["content"]))
        elif key == "lfsFile":
            uploaded = self._store.path(value["oid"])
            if not uploaded.is_file() and self.xet.hash_of(value["oid"]) is not None:
                self.xet.fetch(value["oid"], int(value["size"]), uploaded)
            if not uploaded.is_file():
                raise Refusal(400, f"LFS object {value['oid']} was never uploaded")
            files[path] = self._store.keep(path, uploaded.read_bytes())
        else:
            gone = {p for p in files if p == path or (key == "deletedFolder" and p.startswith(path.rstrip("/") + "/"))}
            if not gone:
                raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            for p in gone:
                del files[p]

    @route("POST", API + "/branch/(?P<branch>[^/]+)")
    def add_branch(self, call: Call, repo: Repo, branch: str) -> Reply:
        return self._add_ref(call, repo, f"refs/heads/{branch}", call.json().get("startingPoint", "main"))

    @route("POST", API + "/tag" + REV)
    def add_tag(self, call: Call, repo: Repo, rev: str) -> Reply:
        return self._add_ref(call, repo, f"refs/tags/{call.json()['tag']}", rev)

    @route("DELETE", API + "/(?P<group>branch|tag)/(?P<ref>[^/]+)")
    def delete_ref(self, call: Call, repo: Repo, group: str, ref: str) -> Reply:
        self._writer(call.user, repo.owner)
        del repo.refs[repo.ref(f"refs/{'heads' if group == 'branch' else 'tags'}/{ref}")]
        return Reply({})

    def _add_ref(self, call: Call, repo: Repo, ref: str, start: str) -> Reply:
        self._writer(call.user, repo.owner)
        if ref in repo.refs:
            raise Refusal(409, f"Reference already exists: {ref}")
        repo.refs[ref] = repo.at(start)
        return Reply({})

    # Last, since its pattern matches everything else.

    @route("GET", API + "(?:/revision" + REV + ")?")
    def info(self, call: Call, repo: Repo, rev: str = "main") -> Reply:
        commit = repo.at(rev)
        siblings: list[dict[str, Any]] = [{"rfilename": path} for path in sorted(commit.files)]
        if call.flag("blobs"):
            for sibling in siblings:
                file = commit.files[sibling["rfilename"]]
                sibling |= {"size": file.size, "blobId": file.blob_id, "lfs": file.lfs}
        fixed = {"disabled": False, "createdAt": DATE, "lastModified": DATE, "tags": [], "downloads": 0, "likes": 0}
        access = {"author": repo.owner, "private": repo.private, "gated": repo.gated}
        return Reply({"id": repo.name, "sha": commit.oid, "siblings": siblings, **access, **fixed, **repo.info})


def _part(file: File, wanted: str | None, headers: dict[str, str]) -> Reply:
    """A file's bytes, or the `bytes=first-last` of it that a Range header requests."""
    data = file.path.read_bytes()
    span = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if not span or span.group() == "bytes=-":
        return Reply(data, 200, headers)
    first, last = span.groups()
    start = int(first) if first else max(file.size - int(last), 0)
    stop = min(int(last) + 1, file.size) if first and last else file.size
    if start >= stop:
        raise Refusal(416, "Range not satisfiable", **{"Content-Range": f"bytes */{file.size}"})
    return Reply(data[start:stop], 206, headers | {"Content-Range": f"bytes {start}-{stop - 1}/{file.size}"})


class _Handler(BaseHTTPRequestHandler):
    """The connection: reads a request, calls the hub, writes the reply. Connections are kept alive, as on the Hub."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go in two writes

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        call = Call(self.command, path, dict(parse_qsl(query)), self.headers, self._body())
        line = (self.command, unquote(self.path))
        self.server.hub.requests.append(line)
        reply = self.server.hub.serve(call, " ".join(line))
        payload = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload[: reply.cut])
        self.close_connection |= reply.cut is not None

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_CONNECT = answer  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, *_: object) -> None:
        """Say nothing: `hub.requests` is the log."""


class _Server(ThreadingHTTPServer):
    """One thread a connection. Stopping closes every connection, so that no thread outlives the test."""

    daemon_threads = False  # so that closing waits for them

    def __init__(self, hub: LocalHub):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self._open: set[socket.socket] = set()

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Ignore disconnected clients; a failure in an endpoint is returned with its traceback."""

    def stop(self) -> None:
        self.shutdown()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
