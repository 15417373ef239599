"""Shell lines and YAML in which every word stays the word that it was."""

import shlex
from typing import Any

import yaml

from toolkit.commands.launch.job import PORT, Job


def wrapped(job: Job, program: str) -> list[str]:
    """Return a command that runs the setup, enters the volume, and becomes `program` with the job's words.

    The words are arguments of the shell, not a part of its program, so nothing in them is read by it.

    Args:
        job: What is run.
        program: Shell words that the job's words follow.
    """
    lines = ["set -e"]
    if job.volume is not None:
        lines.append(f"cd {shlex.quote(job.volume[1])}")
    if job.setup:
        lines.append(job.setup)
    lines.append(f'exec {program} "$@"')
    return ["bash", "-c", "\n".join(lines), "toolkit", *job.arguments()]


def torchrun(job: Job, rank: str, address: str) -> str:
    """Return the shell words that start the processes of one of several machines.

    Args:
        job: What is run.
        rank: Shell word with the number of this machine.
        address: Shell word with the address of the first one.
    """
    return (
        f"torchrun --nnodes={job.nodes} --nproc-per-node={job.processes} --node-rank={rank} "
        f"--master-addr={address} --master-port={PORT} -m toolkit"
    )


def to_yaml(*documents: Any) -> str:
    """Return YAML documents in which every text is in quotes, or a block of lines.

    Parsers differ in what they take for a number or a truth value without quotes: `1e3`, `on`, `12:30`.
    """
    return yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
        default_flow_style=False,
        explicit_start=len(documents) > 1,
    )


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: what is used twice is written twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Whether to write a value again instead of a reference to it."""
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        """Write keys as they are; they are all names."""
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            key.style = None
        return node


def _text(dumper: _Dumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else '"')


_Dumper.add_representer(str, _text)
