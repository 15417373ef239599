"""Progress of a Python call: a progress bar, and Python's logging for everything else."""

import logging
from types import TracebackType
from typing import Any

from toolkit.events import Begun, Counted, Event, Note, Settled, Stage
from toolkit.training.loop.progress import Progress, Validation

LOG = logging.getLogger("toolkit")


class Bar:
    """Shows events: progress as a tqdm bar, notes as warnings of the logger "toolkit", others as its infos.

    Use as a context manager; the bar itself is the observer.

    Args:
        visible: Whether to show the bar; messages are logged in any case.
    """

    def __init__(self, visible: bool) -> None:
        self.visible = visible
        self._stage = ""
        self._bar: Any = None

    def __enter__(self) -> "Bar":
        """Start the display."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Stage):
            self._close()
            self._stage = event.name
            self._log(logging.INFO, event.name)
        elif isinstance(event, Note):
            self._log(logging.WARNING, event.text)
        elif isinstance(event, Settled):
            parts = ", ".join(f"{rows:,} {name}" for name, rows in event.parts.items())
            self._log(logging.INFO, f"Model {event.model}, data {event.data}: {parts}")
        elif isinstance(event, Begun):
            self._log(logging.INFO, f"{event.name.capitalize()} in {event.folder}")
        elif isinstance(event, Counted):
            self._advance(event.done, event.total)
        elif isinstance(event, Progress):
            self._advance(event.step, event.total_steps, f"loss {event.loss:.4f}")
        elif isinstance(event, Validation):
            figures = ", ".join(f"{name} {value:.4f}" for name, value in event.values.items())
            self._log(logging.INFO, f"Validation at epoch {event.epoch:.2f}: {figures}")

    def _advance(self, done: int, total: int, text: str = "") -> None:
        if not self.visible:
            return
        if self._bar is None or self._bar.total != total:
            self._close()
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc=self._stage, leave=False)
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(done - self._bar.n)

    def _log(self, level: int, text: str) -> None:
        """Write a line of the log above a bar on the same terminal."""
        text = "".join(sign if sign.isprintable() or sign in "\n\t" else f"\\u{ord(sign):04x}" for sign in text)
        if self._bar is None:
            LOG.log(level, "%s", text)
            return
        with self._bar.external_write_mode():
            LOG.log(level, "%s", text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
