"""Ctrl-C and SIGTERM have the same effect."""

import os
import signal

import pytest

from toolkit.commands.finetune.resume import stoppable, terminable


def test_sigterm_ends_like_ctrl_c_and_the_handler_is_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_signal_in_training_requests_a_stop():
    with pytest.raises(KeyboardInterrupt), terminable(), stoppable() as value:
        os.kill(os.getpid(), signal.SIGTERM)
        assert value()
        os.kill(os.getpid(), signal.SIGTERM)
