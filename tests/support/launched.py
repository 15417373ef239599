"""Programs in place of those that a launched job starts: they print their arguments, so that words can be compared."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAMS = ("toolkit", "torchrun", "srun", "hf", "timeout", "pip")


def echoing(folder: Path, names: Sequence[str] = PROGRAMS) -> Path:
    """Write programs that print their arguments, each ended by a null character; `pip` prints nothing."""
    folder.mkdir(exist_ok=True)
    for name in names:
        print_words = "" if name == "pip" else 'printf \'%s\\0\' "$0" "$@"'
        (folder / name).write_text(f"#!/bin/sh\n{print_words}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def words_of(command: Sequence[str], programs: Path, env: Mapping[str, str] | None = None) -> list[str]:
    """Run a command and return what the program in it got: its name and its arguments."""
    path = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([*command], env={**path, **(env or {})}, cwd=programs, capture_output=True, check=True)
    first, *words = done.stdout.decode().split("\0")[:-1]
    return [Path(first).name, *words]


def expanded(word: str, variables: Mapping[str, str]) -> str:
    """Return a word of a container's command as Kubernetes does: `$(NAME)` replaced if it is known, `$$` as `$`.

    After `third_party/forked/golang/expansion/expand.go` of Kubernetes.
    """
    result, place = "", 0
    while place < len(word):
        if word[place] != "$" or place + 1 == len(word):
            result += word[place]
            place += 1
        elif word[place + 1] == "$":
            result += "$"
            place += 2
        elif word[place + 1] == "(" and ")" in word[place + 2 :]:
            end = word.index(")", place + 2)
            name = word[place + 2 : end]
            result += variables.get(name, f"$({name})")
            place = end + 1
        else:
            result += word[place : place + 2]
            place += 2
    return result
