"""Spoken digits from scratch: trained on some voices, tested on voices and a speaker that are not among them.

    python -m benchmarks.speech                     make the recordings, train, test
    python -m benchmarks.speech --table FILE.json   print a written result as a Markdown table

The recordings of training are by espeak-ng, each word by many voices of several accents, at 8,000 samples a second as
on a telephone. Tested are other voices of an accent that no training voice has, and the digits that a person spoke for
Asterisk. Both programs are Debian packages: `apt-get install espeak-ng asterisk-core-sounds-en-wav`.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.default_data import MissingError
from benchmarks.finetune import RESULTS, ROOT
from toolkit.data.audio import decoding
from toolkit.evaluation.statistics.intervals import wilson

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ASTERISK = Path("/usr/share/asterisk/sounds/en_US_f_Allison/digits")
RATE = 8_000
VOICES = {  # part → accents, and voices of espeak-ng that speak with each
    "train": (
        ("en-us", "en-gb", "en-gb-x-rp", "en-029"),
        (
            *("m1", "m2", "m4", "m6", "m7", "f1", "f2", "f4", "Andy", "Annie", "Denis", "Alicia", "Hugo", "Jacky"),
            *("adam", "belinda", "benjamin", "steph", "linda", "victor"),
        ),
    ),
    "validation": (("en-us", "en-gb"), ("m5", "f5", "Andrea", "david")),
    "test": (("en-gb-scotland",), ("m3", "m8", "f3", "Alex", "aunty", "caleb", "ed", "Michael", "marcelo", "anika")),
}
SPEEDS = {"train": (130, 180), "validation": (160,), "test": (150, 170)}  # words a minute
EPOCHS = 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, test and print."""
    return command("speech", "Spoken digits from scratch.", EPOCHS, measured, markdown, arguments)


def command(
    name: str,
    description: str,
    epochs: int,
    measure: Callable[[Path], dict[str, Any]],
    table: Callable[[dict[str, Any]], str],
    arguments: Sequence[str] | None,
) -> int:
    """Measure and write a record, or print one that was written.

    Args:
        name: Of the benchmark.
        description: What it does.
        epochs: Of its training.
        measure: Temporary folder → the record's own keys.
        table: Record → Markdown.
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}-cpu.json", help="the record")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this record as Markdown and run nothing")
    options = parser.parse_args(arguments)
    if options.table:
        sys.stdout.write(table(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    record = {
        "command": f"python -m benchmarks.{name}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.describe(),
        "threads": 1,
        "epochs": epochs,
    }
    with tempfile.TemporaryDirectory() as temporary:
        record |= measure(Path(temporary))
    options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(record))
    return 0


def check_installed() -> None:
    """Refuse to begin without the programs that speak.

    Raises:
        MissingError: A package is not installed.
    """
    if shutil.which("espeak-ng") is None:
        raise MissingError("the Debian package espeak-ng is not installed")
    if not (ASTERISK / "0.wav").is_file():
        raise MissingError("the Debian package asterisk-core-sounds-en-wav is not installed")


def draw(folder: Path) -> None:
    """Write the recordings: a folder for each part, and in it one for each word.

    Raises:
        MissingError: A package is not installed.
    """
    check_installed()
    for part, (accents, voices) in VOICES.items():
        for word in WORDS:
            (folder / part / word).mkdir(parents=True)
            for accent in accents:
                for voice in voices:
                    for speed in SPEEDS[part]:
                        speak(word, f"{accent}+{voice}", speed, folder / part / word / f"{accent}-{voice}-{speed}.wav")
    for digit, word in enumerate(WORDS):
        (folder / "person" / word).mkdir(parents=True)
        shutil.copy(ASTERISK / f"{digit}.wav", folder / "person" / word)


def speak(words: str, voice: str, speed: int, file: Path) -> None:
    """Write spoken words at the rate of a telephone."""
    program = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", words]
    spoken = subprocess.run(program, check=True, capture_output=True).stdout
    samples, rate = decoding.decode({"bytes": spoken}, 60)
    file.write_bytes(decoding.encode(decoding.resampled(samples, rate, RATE), RATE))


def measured(folder: Path) -> dict[str, Any]:
    """Train and test; return the rows, the metrics and the CPU seconds."""
    draw(folder / "recordings")
    person = folder / "person"
    (folder / "recordings" / "person").rename(person)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run = folder / "run"
    toolkit(
        *("finetune", "speech", "--from-scratch", "--data", folder / "recordings", "--output", run),
        *("--epochs", EPOCHS, "--batch-size", 32, "--set", "training.device=cpu"),
    )
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    toolkit("predict", run, "--input", person, "--output", folder / "person.csv")
    with (folder / "person.csv").open(encoding="utf-8", newline="") as stream:
        right = [row["file"].startswith(f"{row['prediction']}/") for row in csv.DictReader(stream)]
    interval = wilson(float(sum(right)), float(len(right)), 0.95)
    return {
        "rows": {part["name"]: part["rows"] for part in report["data"]["splits"]},
        "voices": report["evaluation"]["metrics"],
        "baselines": {item["name"]: item["metrics"][0] for item in report["baselines"]},
        "person": {"rows": len(right), "value": interval.value, "low": interval.low, "high": interval.high},
        "cpu_seconds": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, 1),
    }


def toolkit(*arguments: Any) -> None:
    """Run a command on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "toolkit", *map(str, arguments)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def markdown(record: dict[str, Any]) -> str:
    """Return the accuracies as a Markdown table."""
    accuracy = next(metric for metric in record["voices"] if metric["name"] == "accuracy")
    cells = [
        ("other voices of another accent", record["rows"]["test"], "the model", accuracy),
        *(("the same", record["rows"]["test"], name.lower(), metric) for name, metric in record["baselines"].items()),
        ("a person", record["person"]["rows"], "the model", record["person"]),
    ]
    lines = [
        "| tested on | recordings | predicted by | accuracy | 95 % interval |",
        "| --- | ---: | --- | ---: | --- |",
    ]
    lines += [
        f"| {data} | {rows} | {name} | {100 * figure['value']:.1f} % | {100 * figure['low']:.1f} to "
        f"{100 * figure['high']:.1f} |"
        for data, rows, name, figure in cells
    ]
    learned = f"Learned from {record['rows']['train']:,} recordings in {record['epochs']} epochs; "
    learned += f"{record['cpu_seconds']:.0f} CPU seconds for training, evaluation and prediction on one thread. "
    return "\n".join([*lines, "", f"{learned}{record['date']}, `{record['command']}`."]) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
