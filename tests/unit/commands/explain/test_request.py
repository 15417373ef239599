"""What a call of `explain` asks for."""

import importlib
from types import SimpleNamespace

import pytest

from toolkit.commands.explain.request import ExplanationRequest

api = importlib.import_module("toolkit.api.analysis.explain")  # the package's attribute may be the function


@pytest.mark.parametrize(
    ("given", "rows"), [({}, 0), ({"measure": True}, 60), ({"rows": 12}, 12), ({"measure": True, "rows": 12}, 12)]
)
def test_methods_are_measured_on_sixty_rows_unless_told_otherwise(monkeypatch, given, rows):
    requests: list[ExplanationRequest] = []
    monkeypatch.setattr(api, "prepare_evaluation", lambda *_, needs_rows: SimpleNamespace(run=None, rows=needs_rows))
    monkeypatch.setattr(api, "_inputs", lambda typed, *_: typed)
    monkeypatch.setattr(api, "explain_inputs", lambda _subject, request, *_: (None, requests.append(request) or {}))
    api.explain("run", "a text", progress=False, **given)
    assert [request.rows for request in requests] == [rows]
