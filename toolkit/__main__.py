"""The entry point: `toolkit`, and `python -m toolkit` for launchers that start modules."""

# pathlib itself might be imported from the current folder
# ruff: noqa: PTH109, PTH117, PTH120

import gc
import os
import sys


def leave_folder_out() -> None:
    """Import nothing from the current folder, here and in Python processes that are started from here.

    `python -m` and empty entries of PYTHONPATH put that folder before everything that is installed, and a `datasets.py`
    in it would be run. Where PYTHONPATH names the folder in full, it was intended.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # for processes of multiprocessing, which start by `python -c`
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    meant = {os.path.normpath(path) for path in named if os.path.isabs(path)}
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it was removed meanwhile, so there is nothing to import from
        return
    installed = next((place for place, path in enumerate(sys.path) if path == os.path.dirname(os.__file__)), 0)
    sys.path[:installed] = [p for p in sys.path[:installed] if p in meant or os.path.realpath(p) != here]


def main() -> None:
    """Run the command line; Ctrl-C ends in a one-line message from the first import on."""
    leave_folder_out()
    gc.set_threshold(10_000)  # imports make much that lives and no garbage: a sixth of their time went to its search
    try:
        from toolkit.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
    except ImportError:
        import toolkit

        if "finetune" in getattr(toolkit, "__all__", ()):
            raise
        sys.stderr.write(
            f"Error: Another package is named `toolkit`, and hides this one: {toolkit.__file__}.\n"
            "  → Uninstall it, or install finetune-toolkit into an environment of its own.\n"
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
