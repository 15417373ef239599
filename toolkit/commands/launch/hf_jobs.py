"""Hugging Face Jobs: a shell script with one call of `hf jobs run`."""

import shlex
from dataclasses import replace

from toolkit.commands.launch.job import INSTALL, TOKEN, Engine, Job
from toolkit.commands.launch.text import wrapped

_IMAGE = "python:3.12"


def render(job: Job) -> str:
    """Return the script."""
    options = [
        *("--detach", "--label", f"name={job.name}", "--flavor", str(job.hardware), "--timeout", f"{job.minutes}m"),
        *("--secrets", TOKEN),  # `hf` reads the value where the script is run
        *(("--volume", f"{job.volume[0]}:{job.volume[1]}") if job.volume is not None else ()),
        *(word for key, value in job.settings.items() for word in (f"--{key}", value)),
    ]
    if job.image is None and job.setup is None:
        job = replace(job, setup=INSTALL)
    plain = job.setup is None and job.volume is None
    command = ["toolkit", *job.arguments()] if plain else wrapped(job, "toolkit")
    call = ["hf", "jobs", "run", *options, "--", job.image or _IMAGE, *command]
    return f"#!/bin/sh\nexec {shlex.join(call)}\n"


HF_JOBS = Engine(
    title="Hugging Face Jobs",
    suffix="sh",
    program="hf",
    render=render,
    submit=lambda _job, file: ["sh", file],
    takes={
        "hardware": (r"[a-z0-9-]+", "a flavor, which `hf jobs hardware` lists"),
        "image": (r"[A-Za-z0-9][^\s]*", "a Docker image or a Space"),
        "volume": (r"hf://[^\s:]+", "hf://buckets/ORG/NAME:/FOLDER"),
    },
    needs=("hardware",),
    settings={"namespace": r"[A-Za-z0-9_.-]+", "attempts": "[1-9][0-9]*", "resource-group-id": r"[A-Za-z0-9_-]+"},
    several=False,
    must_push=True,
)
