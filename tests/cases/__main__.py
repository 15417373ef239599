"""Print RIGHT or WRONG for each case whose name holds one of the arguments; for all of them without arguments."""

import sys
import tempfile
from pathlib import Path

from tests.cases.collect import cases


def main(parts: list[str]) -> int:
    """Run the cases; return how many are wrong."""
    wrong = 0
    for name, case in cases().items():
        if parts and not any(part in name for part in parts):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                case(Path(folder))
                verdict = "RIGHT"
            except Exception as error:
                verdict = "WRONG"
                wrong += 1
                print(f"{type(error).__name__}: {str(error)[:2000]}", file=sys.stderr)
        print(f"{verdict}  {name}: {(case.__doc__ or '').partition(chr(10))[0]}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
