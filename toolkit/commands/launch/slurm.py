"""SLURM: a script for `sbatch`, in which `srun` starts one process for each GPU.

The toolkit reads rank and size of the process from the variables of `srun`. Two minutes before the time limit the
processes get SIGTERM and store their state; a job that SLURM starts again resumes the run.
"""

import shlex

from toolkit.commands.launch.job import Engine, Job

_STORE_SECONDS = 120


def render(job: Job) -> str:
    """Return the script."""
    directives = {
        "job-name": job.name,
        "output": f"{job.name}-%j.log",
        "open-mode": "append",
        "nodes": str(job.nodes),
        "ntasks-per-node": str(job.processes),
        **_gpus(job),
        "time": f"{job.minutes // 60:02d}:{job.minutes % 60:02d}:00",
        "signal": f"TERM@{_STORE_SECONDS}",
        "requeue": "",
        **({"partition": job.queue} if job.queue else {}),
        **job.settings,
    }
    lines = [f"#SBATCH --{key}={value}" if value else f"#SBATCH --{key}" for key, value in directives.items()]
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "",
            "set -e",
            *([job.setup] if job.setup else []),
            _step(job),
            "",
        ]
    )


def _gpus(job: Job) -> dict[str, str]:
    if not job.gpus:
        return {}
    kind = f"{job.hardware}:" if job.hardware else ""
    return {"gpus-per-task": f"{kind}{job.gpus // job.processes}"}


def _step(job: Job) -> str:
    """Return the line that starts the processes."""
    parts = ["srun"]
    if "cpus-per-task" in job.settings:  # srun does not take it over from sbatch
        parts.append(shlex.quote(f"--cpus-per-task={job.settings['cpus-per-task']}"))
    if job.image:
        parts.append(shlex.quote(f"--container-image={job.image}"))
        parts += ['--container-mounts="$PWD:$PWD"', '--container-workdir="$PWD"']
    parts += ["toolkit", shlex.quote(job.words[0])]
    if job.resumes:
        parts.append("${SLURM_RESTART_COUNT:+--resume}")
    return " ".join([*parts, *map(shlex.quote, job.words[1:])])


SLURM = Engine(
    title="SLURM",
    suffix="sbatch",
    program="sbatch",
    render=render,
    submit=lambda _job, file: ["sbatch", file],
    takes={
        "hardware": (r"[A-Za-z0-9_.-]+", "a type of GPU"),
        "queue": (r"[A-Za-z0-9_.,-]+", "a partition"),
        "image": (r"[^\s]+", "an image of Pyxis"),
    },
    settings=None,
    reserved=frozenset({"job-name", "nodes", "ntasks-per-node", "gpus-per-task", "time", "partition", "wrap"}),
    keeps_files=True,
)
