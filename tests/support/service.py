"""`toolkit serve` and `toolkit app` as a process, and questions to it."""

import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.cli import start


@contextmanager
def serving(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the command on a free port; yield the address, end it by SIGTERM, and check that it ended well."""
    process = start(*arguments, "--port", "0", cwd=cwd, env=env)
    errors: list[str] = []
    assert process.stdout is not None and process.stderr is not None
    reader = threading.Thread(target=lambda stream: errors.extend(stream), args=(process.stderr,))
    reader.start()
    try:
        line = process.stdout.readline()
        assert " is ready; " in line, "".join(errors)
        yield line.split()[0].rstrip("/")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        reader.join(10)
        process.stdout.close()
        process.stderr.close()
    assert code == 0, "".join(errors)
    assert "Traceback" not in "".join(errors)


def post(address: str, body: Any) -> tuple[int, Any]:
    """Return the status and the answer to a JSON body, or to bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
