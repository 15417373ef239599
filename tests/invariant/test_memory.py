"""What a run holds in memory does not grow out of bounds with its data."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import environment

ROWS = 1_000_000
ALLOWED = 2 * 2**30  # bytes beyond what the same run takes on a small table

_MEASURED = """
import json, resource, sys
from toolkit.cli import main
try:
    main()
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    open(sys.argv[sys.argv.index("--output") + 1] + ".json", "w").write(json.dumps(peak))
"""


def table(path: Path, rows: int) -> Path:
    """Write short texts, each another."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write("text,label\n")
        stream.writelines(
            f"a {('fine', 'dull')[n % 2]} film that {n} saw,{('positive', 'negative')[n % 2]}\n" for n in range(rows)
        )
    return path


def peak(data: Path, steps: int, rows: int) -> int:
    """Fine-tune for some steps in a process of its own; return the most memory that it took, in bytes."""
    output = data.with_suffix(".run")
    done = subprocess.run(
        [
            sys.executable, "-c", _MEASURED, "finetune", "sentiment", "--model", checkpoints.TINY, "--data", data,
            "--output", output, "--batch-size", "32", "--epochs", str(32 * (steps - 0.5) / rows), "--set",
            "data.validation_fraction=0.005", "--set", "data.test_fraction=0.005",
        ],
        cwd=data.parent, env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (output / "report.html").is_file()
    return int(json.loads(output.with_suffix(".run.json").read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is counted in other units elsewhere")
def test_a_million_rows_train_within_two_gigabytes(tmp_path: Path) -> None:
    small = peak(table(tmp_path / "small.csv", 2000), 4, 2000)
    large = peak(table(tmp_path / "large.csv", ROWS), 4, ROWS)
    print(f"{ROWS:,} rows took {(large - small) / 2**20:,.0f} MiB more than 2,000")
    assert large - small < ALLOWED
