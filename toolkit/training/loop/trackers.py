"""Experiment trackers, through Accelerate: TensorBoard, trackio, MLflow, Weights & Biases.

MLflow and trackio also get the model, the report and its figures when a run is complete, in the same run of theirs.
A tracker that fails, without a network or a login, is then left out; it never ends a run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError

PROJECT = "finetune-toolkit"
Log = Callable[[Mapping[str, Any], int], None]


def check(names: Sequence[str]) -> None:
    """Raise ConfigError, before anything is trained, if a tracker's package is not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`training.trackers` names {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed.",
            f"pip install {' '.join(missing)}",
            id="machine.package-missing",
        )


@contextmanager
def tracking(
    accelerator: Any,
    names: Sequence[str],
    values: Mapping[str, Any],
    say: Callable[[str], None],
    note: Callable[[Mapping[str, str]], None] = lambda _identities: None,
) -> Iterator[Log]:
    """Start the trackers, yield a function that logs (figures, step) to them, and end them.

    Args:
        accelerator: Made with `log_with`.
        names: Of the trackers; with none nothing happens.
        values: Dotted key → value: the run's configuration.
        say: Called once when a tracker fails.
        note: Called with tracker → what the tracker calls this run, for `deliver`.
    """
    failed = not names

    def attempt(action: Callable[[], None]) -> None:
        nonlocal failed
        if failed:
            return
        try:
            action()
        except Exception as error:
            failed = True
            say(_failure(", ".join(names), error))

    # Accelerate would keep MLflow's artefacts in the current folder
    attempt(lambda: accelerator.init_trackers(PROJECT, _plain(values), {"mlflow": {"logging_dir": None}}))
    attempt(lambda: note({t.name: _IDENTITIES[t.name](t.tracker) for t in accelerator.trackers if t.name in _DELIVER}))
    try:
        yield lambda figures, step: attempt(lambda: accelerator.log(dict(figures), step=step))
    finally:
        attempt(lambda: _finish(accelerator))


def _finish(accelerator: Any) -> None:
    """End only the trackers; `end_training` would also end the communication of the processes."""
    for tracker in accelerator.trackers:
        tracker.finish()


def deliver(
    identities: Mapping[str, str], metrics: Mapping[str, float], folders: Mapping[str, Path], say: Callable[[str], None]
) -> None:
    """Give the trackers the files and figures of a complete run.

    Args:
        identities: Tracker → what it calls the run, as of `tracking`.
        metrics: Figures on the test rows, by name.
        folders: What they are → files or folders.
        say: Called when a tracker fails.
    """
    for name, identity in identities.items():
        try:
            _DELIVER[name](identity, {f"test/{metric}": value for metric, value in metrics.items()}, folders)
        except Exception as error:
            say(_failure(name, error))


def _to_mlflow(identity: str, metrics: Mapping[str, float], folders: Mapping[str, Path]) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    for name, value in metrics.items():
        client.log_metric(identity, name, value)
    for place, path in folders.items():
        (client.log_artifacts if path.is_dir() else client.log_artifact)(identity, str(path), place)


def _to_trackio(identity: str, metrics: Mapping[str, float], folders: Mapping[str, Path]) -> None:
    import trackio

    run = trackio.init(project=PROJECT, name=identity, resume="must", embed=False)
    run.log(dict(metrics))
    for place, path in folders.items():
        artifact = trackio.Artifact(f"{identity}-{place}", place)
        (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
        run.log_artifact(artifact)
    trackio.finish()  # the run alone would be finished once more when the process ends


_DELIVER = {"mlflow": _to_mlflow, "trackio": _to_trackio}
_IDENTITIES: dict[str, Callable[[Any], str]] = {
    "mlflow": lambda run: str(run.info.run_id),
    "trackio": lambda run: str(run.name),
}


def _failure(names: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    return f"Tracking with {names} failed ({reason}); the run continues without it."


def figures(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line of metrics.jsonl under the name of its event: "training/loss"."""
    return {
        f"{line['event']}/{name}": value
        for name, value in line.items()
        if name not in ("event", "step") and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that every tracker accepts: numbers, truth values and texts."""
    return {key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in values.items()}
