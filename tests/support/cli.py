"""Run the real command line in a process of its own."""

import atexit
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CACHE = tempfile.mkdtemp(prefix="toolkit-cache-")  # the user's own stays as it is
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
_PROGRAM = ("-m", "toolkit")


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


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with no Hub and no token, unless `extra` says otherwise."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TOOLKIT_"))}
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    nowhere["XDG_CACHE_HOME"] = _CACHE
    return {**kept, **nowhere, **(extra or {})}


def toolkit(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 300) -> Outcome:
    """Run `toolkit ARGUMENTS` in `cwd`."""
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
    """Run `toolkit` with each list of arguments in turn; heavy packages are imported once.

    To the first that fails, unless `all_of_them` are wanted.
    """
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            [sys.executable, "-P", "-m", "tests.support.forks", place, *(["all"] if all_of_them else [])],
            cwd=cwd,
            env={**environment(env), "PYTHONPATH": str(Path(__file__).parents[2])},
            input=json.dumps([list(map(str, command)) for command in commands]),
            text=True,
            timeout=timeout,
            check=True,
        )
        ends = sorted(Path(place).glob("*.json"), key=lambda file: int(file.stem))
        outcomes = []
        for end in ends:
            code, cpu = json.loads(end.read_text(encoding="utf-8"))
            texts = [end.with_suffix(f".{name}").read_text(encoding="utf-8") for name in ("out", "err")]
            outcomes.append(Outcome(code, texts[0], texts[1], cpu))
    return outcomes


def start(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `toolkit ARGUMENTS` in `cwd` and leave it running."""
    return subprocess.Popen(
        [sys.executable, *_PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
