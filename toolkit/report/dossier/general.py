"""Point 1: what the system is."""

from collections.abc import Sequence

from toolkit.report.dossier.content import Block, Evidence, Table, Text
from toolkit.report.dossier.layout import facts, written
from toolkit.report.dossier.traces import Node, plain, size

_MACHINE = {
    "platform": "Operating system",
    "processor": "Processor",
    "processors": "Number of processors",
    "threads": "Threads used",
    "memory_gib": "Memory in GiB",
    "accelerators": "Accelerators",
}


def identification(evidence: Evidence) -> Sequence[Block]:
    """Name the model, what it was made from and when."""
    report, run = evidence.report, evidence.run
    model = report["model"]
    return [
        facts(
            ("Title", plain(report["title"])),
            ("Recipe", plain(run["recipe"])),
            ("Predicts", evidence.task.target.kind.title),
            ("Base model", plain(model["name"])),
            ("Weights from, with revision if one was named", plain(model["origin"])),
            ("Trained from random weights", plain(evidence.config["loading"]["from_scratch"])),
            ("Architecture", plain(model["architecture"])),
            ("Parameters", plain(model["parameters"])),
            ("Size in memory", size(model["size_bytes"])),
            ("Run started", plain(run["created"])),
            ("Run finished", plain(run["finished"])),
            ("Version of the toolkit", plain(run["environment"]["toolkit"])),
        )
    ]


def software(evidence: Evidence) -> Sequence[Block]:
    """List the versions of software of the run."""
    versions = [(name, node) for name, node in evidence.run["environment"].items() if name not in _MACHINE and node]
    return [Table(["Software of the training run", "Version"], [[name, plain(node)] for name, node in versions])]


def model_files(evidence: Evidence) -> Sequence[Block]:
    """List the files of the model and of its exports, each with its digest."""
    return [files("File of the model", evidence.model_files)]


def files(title: str, listed: Sequence[tuple[str, Node]]) -> Table:
    """Return a table of files."""
    return Table(
        [title, "Size", "SHA-256"],
        [[path, size(node["bytes"]), plain(node["sha256"])] for path, node in listed],
    )


def hardware(evidence: Evidence) -> Sequence[Block]:
    """Describe the machine of the training, and the one on which predictions were timed."""
    environment, training, cost = evidence.run["environment"], evidence.report["training"], evidence.section("cost")
    machine = [(title, plain(environment[name])) for name, title in _MACHINE.items()]
    return written(
        facts(
            *machine,
            ("Device of the training", plain(training["device"])),
            ("Processes of the training", plain(training["processes"])),
            ("Device on which predictions were timed", plain(cost["device"])),
        )
    )


def earlier(evidence: Evidence) -> Sequence[Block]:
    """Point 6: what is recorded of the run after its training."""
    evaluations = [
        (f"Later evaluation on the same rows ({report.file})", plain(report["created"]))
        for report in evidence.reports[1:]
    ]
    exports = [(path, node) for path, node in evidence.model_files if path.startswith("exports/")]
    pruned = [(f"Heads removed, layer {layer}", plain(heads)) for layer, heads in evidence.card["pruned_heads"].items()]
    looks = evidence.looks["held_out"] if evidence.looks else evidence.evaluation["looks"]
    return written(
        facts(
            ("Training started", plain(evidence.run["created"])),
            ("Training finished", plain(evidence.run["finished"])),
            ("Report of the training", plain(evidence.report["created"])),
            ("Evaluations on the held-out rows so far", plain(looks)),
            *evaluations,
            *pruned,
        ),
        Text(
            "Every evaluation on the held-out rows that informs a change makes their figures a little more optimistic."
        ),
        *([files("Export", exports)] if exports else []),
    )
