"""Sentences of three spoken digits from scratch: trained on some voices, tested on voices that are not among them.

    python -m benchmarks.transcribe                     make the recordings, train, test
    python -m benchmarks.transcribe --table FILE.json   print a written result as a Markdown table

The voices are those of `benchmarks.speech`. Each says other sentences, which are drawn once for each part, so that a
sentence of test may also be one of train (1,000 are possible). In addition, the ten digits that a person spoke for
Asterisk are joined to sentences with short pauses.
"""

import csv
import json
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import speech
from toolkit.data.audio import decoding
from toolkit.metrics.transcription import METRICS

SENTENCES = {"train": 24, "validation": 6, "test": 20}  # of each voice with each accent
DIGITS = 3
JOINED = 50  # sentences of the person's digits
PAUSE = 0.1  # seconds between these
EPOCHS = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, test and print."""
    return speech.command("transcribe", str(__doc__).splitlines()[0], EPOCHS, measured, markdown, arguments)


def draw(folder: Path) -> None:
    """Write the recordings, and a table of files and transcripts for each part and for the person's digits.

    Raises:
        MissingError: A package is not installed.
    """
    speech.check_installed()
    random = np.random.default_rng(0)
    for part, (accents, voices) in speech.VOICES.items():
        (folder / part).mkdir(parents=True)
        rows = []
        for voice in (f"{accent}+{voice}" for accent in accents for voice in voices):
            for number, text in enumerate(_sentences(random, SENTENCES[part])):
                speed = speech.SPEEDS[part][number % len(speech.SPEEDS[part])]
                file = folder / part / f"{voice.replace('+', '-')}-{number}.wav"
                speech.speak(text, voice, speed, file)
                rows.append((f"{part}/{file.name}", text))
        _write_table(folder / f"{part}.csv", rows)


def draw_person(folder: Path) -> None:
    """Write sentences of the person's digits, and their table."""
    folder.mkdir(parents=True)
    spoken = [
        decoding.decode({"path": str(speech.ASTERISK / f"{digit}.wav")}, 60, speech.RATE)[0] for digit in range(10)
    ]
    silence = np.zeros(round(PAUSE * speech.RATE), np.float32)
    rows = []
    for number, text in enumerate(_sentences(np.random.default_rng(1), JOINED)):
        parts = [part for word in text.split() for part in (silence, spoken[speech.WORDS.index(word)])]
        (folder / f"{number}.wav").write_bytes(decoding.encode(np.concatenate([*parts, silence]), speech.RATE))
        rows.append((f"{number}.wav", text))
    _write_table(folder / "person.csv", rows)


def _sentences(random: np.random.Generator, count: int) -> Iterator[str]:
    for _ in range(count):
        yield " ".join(speech.WORDS[digit] for digit in random.integers(0, 10, DIGITS))


def _write_table(file: Path, rows: Sequence[tuple[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("file", "transcript"), *rows])


def measured(folder: Path) -> dict[str, Any]:
    """Train and test; return the rows, the metrics and the CPU seconds."""
    draw(folder / "recordings")
    draw_person(folder / "person")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run = folder / "run"
    speech.toolkit(
        *("finetune", "transcribe", "--from-scratch", "--data", folder / "recordings", "--output", run),
        *("--epochs", EPOCHS, "--batch-size", 8, "--augment", "none", "--set", "training.device=cpu"),
    )
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    speech.toolkit("predict", run, "--input", folder / "person" / "person.csv", "--output", folder / "person.out.csv")
    with (folder / "person.out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    texts, truth = ([row[name] for row in rows] for name in ("prediction", "transcript"))
    figures = {n: float(METRICS[n].aggregate(METRICS[n].statistics(texts, truth, ()).sum(axis=0))) for n in _NAMES}
    return {
        "rows": {part["name"]: part["rows"] for part in report["data"]["splits"]},
        "voices": {metric["name"]: metric for metric in report["evaluation"]["metrics"] if metric["name"] in _NAMES},
        "baselines": {
            item["name"]: {metric["name"]: metric for metric in item["metrics"] if metric["name"] in _NAMES}
            for item in report["baselines"]
        },
        "person": {"rows": len(rows), **figures},
        "cpu_seconds": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, 1),
    }


_NAMES = ("wer", "cer")


def markdown(record: dict[str, Any]) -> str:
    """Return the error rates as a Markdown table."""
    count = record["rows"]["test"]
    lines = [
        "| tested on | recordings | predicted by | word error rate | character error rate |",
        "| --- | ---: | --- | ---: | ---: |",
        *(
            f"| {where} | {count} | {name} | {_shown(figures['wer'])} | {_shown(figures['cer'])} |"
            for where, name, figures in (
                ("other voices of another accent", "the model", record["voices"]),
                *(("the same", name.lower(), figures) for name, figures in record["baselines"].items()),
            )
        ),
    ]
    person = record["person"]
    cells = f"{100 * person['wer']:.1f} % | {100 * person['cer']:.1f} %"
    lines.append(f"| a person's ten digits, joined | {person['rows']} | the model | {cells} |")
    learned = f"Learned from {record['rows']['train']:,} recordings in {record['epochs']} epochs; "
    learned += f"{record['cpu_seconds']:.0f} CPU seconds for training, evaluation and prediction on one thread. "
    return "\n".join([*lines, "", f"{learned}{record['date']}, `{record['command']}`."]) + "\n"


def _shown(figure: dict[str, Any]) -> str:
    text = f"{100 * figure['value']:.1f} %"
    low, high = figure.get("low"), figure.get("high")
    return text if low is None or high is None else f"{text} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    raise SystemExit(main())
