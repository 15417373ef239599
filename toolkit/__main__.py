"""The way in: `toolkit`, and `python -m toolkit` for launchers that start modules."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C is answered in one line from the first import on."""
    try:
        from toolkit.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
