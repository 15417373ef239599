"""SkyPilot: the YAML file of a task, for `sky jobs launch`."""

import shlex
from collections.abc import Callable
from typing import Any

from toolkit.commands.launch.job import INSTALL, TOKEN, Engine, Job
from toolkit.commands.launch.text import to_yaml, torchrun

_TYPES: dict[str, Callable[[str], Any]] = {"use_spot": lambda word: word == "true", "disk_size": int}
_KILL_SECONDS = 120  # for a process that does not end on SIGTERM


def render(job: Job) -> str:
    """Return the file."""
    resources: dict[str, Any] = {key: _TYPES.get(key, str)(value) for key, value in job.settings.items()}
    if job.gpus:
        resources["accelerators"] = f"{job.hardware}:{job.gpus}"
    elif job.hardware:
        resources["instance_type"] = job.hardware
    if job.image:
        resources["image_id"] = f"docker:{job.image}"
    setup = job.setup or (None if job.image else INSTALL)
    task: dict[str, Any] = {"name": job.name, "num_nodes": job.nodes, "resources": resources}
    if job.volume is not None:
        task["file_mounts"] = {job.volume[1]: {"source": job.volume[0], "mode": "MOUNT"}}
    if job.pushes:
        task["secrets"] = {TOKEN: None}  # the value is given to `sky`
    return to_yaml({**task, **({"setup": f"{setup}\n"} if setup else {}), "run": _run(job)})


def _run(job: Job) -> str:
    lines = ["set -e"]
    if job.volume is not None:
        lines.append(f"cd {shlex.quote(job.volume[1])}")
    program = "toolkit"
    if job.nodes > 1:
        lines.append('first=$(head -n 1 <<< "$SKYPILOT_NODE_IPS")')
        program = torchrun(job, '"$SKYPILOT_NODE_RANK"', '"$first"')
    limit = f"timeout --signal=TERM --kill-after={_KILL_SECONDS} {job.minutes * 60}"
    lines.append(f"{limit} {program} {shlex.join(job.arguments())}")
    return "\n".join(lines) + "\n"


def submit(job: Job, file: str) -> list[str]:
    """Return the command that submits the file."""
    return ["sky", "jobs", "launch", "--yes", "--detach-run", *(["--secret", TOKEN] if job.pushes else []), file]


SKY = Engine(
    title="SkyPilot",
    suffix="sky.yaml",
    program="sky",
    render=render,
    submit=submit,
    takes={
        "hardware": (r"[A-Za-z0-9_.-]+", "an accelerator, which `sky gpus list` lists, or without GPUs an instance"),
        "image": (r"[A-Za-z0-9][^\s]*", "a Docker image"),
        "volume": (r"[a-z0-9]+://[^\s:$]+", "the URL of a bucket, as s3://NAME:/FOLDER"),
    },
    needs_for_gpus=("hardware",),
    settings={
        "infra": r"[A-Za-z0-9_./*-]+",
        "use_spot": "true|false",
        "cpus": r"[0-9]+\+?",
        "memory": r"[0-9]+\+?",
        "disk_size": "[0-9]+",
    },
)
