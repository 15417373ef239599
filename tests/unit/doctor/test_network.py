"""The Hub, the token and the cache."""

import time

import huggingface_hub
import pytest
from huggingface_hub import constants

from tests.support.doctor import one
from toolkit import checkpoints
from toolkit.checkpoints import files
from toolkit.doctor import Check, network

TOKEN = "hf_secret123"


def test_no_hub_names_what_works(no_hub, monkeypatch):
    monkeypatch.setattr(files, "cached_models", lambda: ["org/cached"])
    found = one(network.hub)
    assert found.verdict == "warning"
    assert "org/cached" in found.fix
    assert found.fix.startswith("Check the network")
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    assert one(network.hub).fix.startswith("Check HF_ENDPOINT")


def test_offline_by_choice(no_hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert one(network.hub).fix.startswith("Unset HF_HUB_OFFLINE")


def test_cache_that_takes_long_to_list(no_hub, monkeypatch):
    monkeypatch.setattr(network, "SCAN_SECONDS", 0.05)
    monkeypatch.setattr(checkpoints, "what_works_here", lambda: time.sleep(0.5))
    assert "Models in the cache" in one(network.hub).fix


def test_hub_that_answers(local_hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", local_hub.endpoint)
    assert one(network.hub) == Check("Hub", "ok", f"{local_hub.endpoint} answers (set by HF_ENDPOINT)")


def test_valid_tokens(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.token)
    assert one(network.token) == Check("token", "ok", "valid, role write")
    monkeypatch.setenv("HF_TOKEN", local_hub.read_token)
    assert "cannot push" in one(network.token).finding


def test_refused_token(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    result = one(network.token)
    assert result.verdict == "fault"
    assert result.fix == "Set HF_TOKEN to a valid token, or unset it."
    assert TOKEN not in str(result)


def test_token_that_the_hub_cannot_check(local_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", local_hub.token)
    local_hub.fail("whoami", 429)
    result = one(network.token)
    assert (result.verdict, "HfHubHTTPError" in result.finding) == ("warning", True)


def test_token_without_hub(no_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert one(network.token) == Check("token", "ok", "present; not checked without the Hub")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert one(network.token).finding.startswith("none")


def test_token_that_cannot_be_read(monkeypatch):
    def get_token():
        raise PermissionError(f"token {TOKEN}")

    monkeypatch.setattr(huggingface_hub, "get_token", get_token)
    result = one(network.token)
    assert result.verdict == "fault"
    assert TOKEN not in str(result)


@pytest.mark.parametrize(
    "scopes, writes",
    [([], False), ([{"permissions": ["repo.content.read"]}], False), ([{"permissions": ["repo.write"]}], True)],
)
def test_fine_grained_token(scopes, writes):
    access = {"role": "fineGrained", "fineGrained": {"scoped": scopes}}
    assert ("writes to" in network._role({"auth": {"accessToken": access}})) == writes


def test_whoami_of_another_kind_of_login():
    assert network._role({"auth": {"type": "oauth"}}) == "role unknown"


def test_cache(monkeypatch, tmp_path):
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert one(network.cache) == Check("cache", "ok", "~/hub, created by the first download")
    (folder / "models--org--whole" / "snapshots" / "0").mkdir(parents=True)
    assert one(network.cache) == Check("cache", "ok", "~/hub, repositories: 1, 0.0 GiB")
    (folder / "models--org--damaged").mkdir()
    assert one(network.cache).verdict == "warning"
    assert "damaged: 1 (models--org--damaged)" in one(network.cache).finding
    monkeypatch.setattr(network, "write_problem", lambda _: "Read-only file system")
    assert "Read-only" in one(network.cache).finding
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "finetune-toolkit-7" / "huggingface" / "hub"))
    assert (one(network.cache).verdict, "will be emptied" in one(network.cache).finding) == ("warning", True)


def test_cache_too_large_to_count(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(network, "SCAN_SECONDS", 0.05)
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda _: time.sleep(0.5))
    result = one(network.cache)
    assert (result.verdict, "too large" in result.finding) == ("ok", True)
