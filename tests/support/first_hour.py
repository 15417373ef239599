"""The commands of docs/first-hour.md; `python -m tests.support.first_hour` writes what they print into the page."""

import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.support.cli import environment, toolkit
from tests.support.service import post, serving

PAGE = Path(__file__).parents[2] / "docs" / "first-hour.md"
STEP = re.compile(r"```(?P<language>bash|python)\n(?P<code>.*?)```(?P<shown>\n\n```text\n.*?```)?", re.DOTALL)
HOST = "localhost:8000"


def outputs(folder: Path, *, replaced: Mapping[str, str] | None = None) -> list[str]:
    """Run all steps in a folder; return what the last command of each printed on standard output.

    Args:
        folder: Where the commands run.
        replaced: Word of a command → the word to run instead.

    Raises:
        AssertionError: A command failed.
    """
    printed = []
    with ExitStack() as services:
        address = ""
        for step in STEP.finditer(PAGE.read_text(encoding="utf-8")):
            if step["language"] == "python":
                printed.append(_python(step["code"], folder))
                continue
            for line in step["code"].splitlines():
                words = [(replaced or {}).get(word, word) for word in shlex.split(line)]
                if words[:2] == ["toolkit", "serve"]:
                    address = services.enter_context(serving(*words[1:], cwd=folder))
                    output = ""
                elif words[0] == "curl":
                    output = _curl(words, address)
                else:
                    outcome = toolkit(*words[1:], cwd=folder, timeout=3600)
                    assert outcome.code == 0, outcome.text
                    output = outcome.out
            printed.append(output)
    return printed


def _python(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, text=True).stdout


def _curl(words: list[str], address: str) -> str:
    """Send the request of a curl command to the service that listens at another port."""
    (url,) = [word for word in words if word.startswith(HOST)]
    status, answer = post(address + url.removeprefix(HOST), words[words.index("-d") + 1].encode())
    assert status == 200, answer
    return json.dumps(answer) + "\n"


def write() -> None:
    """Run the page's commands and write their output into its blocks of text."""
    with tempfile.TemporaryDirectory() as folder:
        printed = iter(outputs(Path(folder)))

    def renewed(step: re.Match[str]) -> str:
        output = next(printed).strip("\n")
        code = f"```{step['language']}\n{step['code']}```"
        return code + (f"\n\n```text\n{output}\n```" if step["shown"] else "")

    PAGE.write_text(STEP.sub(renewed, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
