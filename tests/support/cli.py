"""Run the real command line in a process of its own."""

import atexit
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_CACHE = tempfile.mkdtemp(prefix="toolkit-cache-")  # the user's own stays as it is
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
_PROGRAM = ("-m", "toolkit")
EARLY_VARIABLES = ("PYTHON", "LC_", "LANG", "OMP_", "MKL_", "TORCH", "TMPDIR")  # what the interpreter and torch read


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
        cpu_seconds: Processor time it took.
    """

    code: int
    out: str
    err: str
    cpu_seconds: float

    @property
    def text(self) -> str:
        """Everything it printed."""
        return self.out + self.err


class Running:
    """A command that `forks` runs, to be used like a `subprocess.Popen`.

    Attributes:
        pid: Process id; the command is the leader of a process group.
        stdin: Its standard input, as text; None where it has none.
        stdout: Its standard output, as text.
        stderr: Its standard error, as text.
        returncode: Exit code, or minus the signal that ended it; None before that was waited for.
        cpu_seconds: Processor time that it took.
    """

    def __init__(self, pid: int, pipes: Sequence[int], given: int | None = None) -> None:
        self.pid = pid
        self.stdin = None if given is None else os.fdopen(given, "w", encoding="utf-8")
        self.returncode: int | None = None
        self.cpu_seconds = 0.0
        self.stdout, self.stderr, self._ended = (os.fdopen(pipe, encoding="utf-8") for pipe in pipes)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return its exit code."""
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(_PROGRAM, timeout or 0)
            with self._ended:
                self.returncode, self.cpu_seconds = json.loads(self._ended.readline())
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Close its input, read both streams to their end, wait, and return what was read."""
        if self.stdin is not None:
            self.stdin.close()
        deadline = None if timeout is None else time.monotonic() + timeout
        texts = {"stdout": "", "stderr": ""}
        readers = [threading.Thread(target=self._read, args=(texts, name), daemon=True) for name in texts]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if deadline is None else max(0, deadline - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(_PROGRAM, timeout or 0)
        self.wait(None if deadline is None else max(0, deadline - time.monotonic()))
        return texts["stdout"], texts["stderr"]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()

    def _read(self, texts: dict[str, str], name: str) -> None:
        with getattr(self, name) as stream:
            texts[name] = stream.read()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with no Hub and no token, unless `extra` says otherwise."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TOOLKIT_", "PYTEST_"))}
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    nowhere["XDG_CACHE_HOME"] = _CACHE
    return {**kept, **nowhere, **(extra or {})}


def toolkit(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
    fresh: bool = False,
) -> Outcome:
    """Run `toolkit ARGUMENTS` in `cwd`.

    Args:
        arguments: Of the command.
        cwd: Where it runs.
        env: Variables that differ from those of `environment`.
        timeout: In seconds; after it the command and the processes that it started are killed.
        fresh: Whether an interpreter is started and imports everything, as where a user types the command; see `start`.
    """
    if fresh:
        return _fresh(arguments, cwd, env, timeout)
    return _ended(_start_forked(arguments, cwd, env), timeout)


def python(
    program: str, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300
) -> Outcome:
    """Run `python -c PROGRAM ARGUMENTS` in a process that has imported transformers and peft, and not the toolkit.

    Args:
        program: Its source.
        arguments: Of the program.
        cwd: Where it runs.
        env: Variables that differ from those of `environment`.
        timeout: In seconds.
    """
    return _ended(_start_forked(arguments, cwd, env, program=program), timeout)


def _ended(running: "Running", timeout: float) -> Outcome:
    with running as process:
        try:
            out, err = process.communicate(timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Outcome(process.wait(), out, err, process.cpu_seconds)


def _fresh(arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None, timeout: float) -> Outcome:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *_PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(done.returncode, done.stdout, done.stderr, cpu)


def several(
    commands: Sequence[Sequence[str | Path]],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
    *,
    all_of_them: bool = False,
) -> list[Outcome]:
    """Run `toolkit` with each list of arguments in turn.

    To the first that fails, unless `all_of_them` are wanted.
    """
    outcomes = []
    for command in commands:
        outcomes.append(toolkit(*command, cwd=cwd, env=env, timeout=timeout))
        if outcomes[-1].code and not all_of_them:
            break
    return outcomes


def start(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, fresh: bool = False, given: bool = False
) -> "Running | subprocess.Popen[str]":
    """Start `toolkit ARGUMENTS` in `cwd` and leave it running.

    It is forked from a process that has imported what is heavy, which saves most of the time of a short command, unless
    it must be `fresh`: where a test is about imports, interpreters, time or memory, and in a few tests of each command.
    Where it is `given` something, it reads standard input from a pipe.
    """
    if not fresh:
        return _start_forked(arguments, cwd, env, given=given)
    return subprocess.Popen(
        [sys.executable, *_PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
    )


def _start_forked(
    arguments: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str] | None,
    *,
    given: bool = False,
    program: str | None = None,
) -> Running:
    variables = environment(env)
    with tempfile.TemporaryDirectory() as folder:
        pipes = []
        for name in ("out", "err", "ended"):
            os.mkfifo(Path(folder, name))
            pipes.append(os.open(Path(folder, name), os.O_RDONLY | os.O_NONBLOCK))  # nobody may write yet
        writer = None
        if given:
            os.mkfifo(Path(folder, "in"))
            writer = os.open(Path(folder, "in"), os.O_RDWR)  # nobody may read yet
        request = {"environment": variables, "cwd": str(cwd), "arguments": [*map(str, arguments)]}
        child = _ask(_server(variables), {**request, "folder": folder, "program": program})
    for pipe in pipes:
        os.set_blocking(pipe, True)
    return Running(child, pipes, writer)


_servers: "dict[frozenset[tuple[str, str]], subprocess.Popen[bytes]]" = {}


def _server(variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Return the process of `forks` that has read these variables where it had to."""
    key = frozenset((name, value) for name, value in variables.items() if name.startswith(EARLY_VARIABLES))
    if key not in _servers:
        program = [sys.executable, Path(__file__).with_name("forks.py")]
        pipe = subprocess.PIPE
        _servers[key] = subprocess.Popen(program, env=variables, stdin=pipe, stdout=pipe, stderr=pipe)
        atexit.register(_servers[key].communicate)  # its input ends, and so does it
    return _servers[key]


def _ask(server: "subprocess.Popen[bytes]", request: object) -> int:
    assert server.stdin is not None and server.stdout is not None and server.stderr is not None
    server.stdin.write(json.dumps(request).encode() + b"\n")
    server.stdin.flush()
    reply = server.stdout.readline()
    assert reply.strip(), server.stderr.read().decode()
    return int(reply)
