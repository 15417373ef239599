"""Clients that send incomplete requests, while others need responses."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.classifiers import classifier
from tests.support.cli import environment
from tests.support.models import tokenizer
from tests.support.service import post

DESCRIPTORS = 96
SILENT = 300


def case_half_requests_keep_nobody_out(folder: Path) -> None:
    """With few descriptors and many incomplete requests, others get responses, with a short log and a clean exit."""
    classifier("bert").save_pretrained(folder / "model")
    tokenizer("a fine dull story one").save_pretrained(folder / "model")
    serve = f"{sys.executable} -m toolkit serve ./model --recipe sentiment --port 0 --seconds 20"
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            ["bash", "-c", f"ulimit -n {DESCRIPTORS}; exec {serve}"],
            cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        text = process.stdout.readline()
        assert " is ready; " in text, log.read_text()
        address = text.split()[0].rstrip("/")
        place = ("127.0.0.1", int(address.rpartition(":")[2]))
        with contextlib.ExitStack() as lines:
            for number in range(SILENT):
                half = lines.enter_context(socket.create_connection(place, timeout=30))
                if number % 2:
                    half.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-")
            began = time.monotonic()
            code, answer = post(f"{address}/predict", {"inputs": ["a fine story", "", "a dull one"]})
            assert (code, [sorted(item)[0] for item in answer["predictions"]]) == (
                200,
                ["prediction", "fix", "prediction"],
            )
            assert time.monotonic() - began < 15
            requests = [lines.enter_context(socket.create_connection(place, timeout=30)) for _ in range(20)]
            body = json.dumps({"inputs": ["a fine story " * 50] * 20}).encode()
            head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            for line in requests:
                line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            process.send_signal(signal.SIGTERM)
            answers = [b"".join(iter(lambda line=line: line.recv(65536), b"")) for line in requests]
        assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * len(requests)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert log.stat().st_size < 2000, log.read_text()[-2000:]
