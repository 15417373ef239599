"""The log of the service, with rate limits for messages that many requests cause."""

import logging
import time

SECONDS = 60.0
LOG = logging.getLogger("uvicorn.error")


class Seldom(logging.Filter):
    """Passes a message of each kind once per interval, with the number of suppressed ones."""

    def __init__(self, seconds: float = SECONDS) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[object, float] = {}
        self._left_out: dict[object, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one message; those of different exceptions are of different kinds."""
        raised = record.exc_info[1] if record.exc_info else None
        place = raised.__traceback__ if raised is not None else None
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        kind = (record.msg, type(raised), place and (place.tb_frame.f_code.co_filename, place.tb_lineno))
        now = time.monotonic()
        if now - self._last.get(kind, -self._seconds) < self._seconds:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._last[kind] = now
        left_out = self._left_out.pop(kind, 0)
        if left_out:
            record.msg = f"{str(record.msg).rstrip()} ({left_out:,} similar messages suppressed)"
        return True
