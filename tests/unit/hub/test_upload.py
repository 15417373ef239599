"""Requests, uploads and messages of a push, against the local Hub."""

import subprocess

import huggingface_hub.constants
import pytest
from huggingface_hub import HfApi

from tests.support.errors import refused
from tests.support.hub import LocalHub
from toolkit import sources
from toolkit.errors import ConfigError, RunError, SourceError, ToolkitError
from toolkit.hub import destinations
from toolkit.hub import upload as pushing
from toolkit.hub.destinations import Destination

# huggingface_hub sends LFS files in a way that its HTTP library calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

NAME = "acme/reviews"
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 400, "README.md": b"# A model\n"}


@pytest.fixture
def hub(monkeypatch):
    with LocalHub() as server:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", server.endpoint)
        monkeypatch.setattr("huggingface_hub.utils._http.constants.ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_TOKEN", server.token)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        sources.hub_problem.cache_clear()
        yield server
        sources.hub_problem.cache_clear()


@pytest.fixture
def waits(monkeypatch):
    """The waiting times, which are skipped here."""
    calls = []
    monkeypatch.setattr("time.sleep", calls.append)
    return calls


def commits(hub: LocalHub, rev: str = "main") -> int:
    commit, count = hub.repos["model", NAME].at(rev), 0
    while commit:
        commit, count = commit.parent, count + 1
    return count


def push(**wishes):
    destination = Destination(NAME, **wishes)
    destinations.check(destination)
    return pushing.publish(FILES, destination, "Upload a model")


def test_a_push_is_one_commit_private_and_made_once(hub):
    first = push()
    assert hub.repos["model", NAME].private
    assert {path: file.read_bytes() for path, file in hub.files(NAME).items()}.items() >= FILES.items()
    assert commits(hub) == 2  # the Hub's own first one, and ours
    again = push()
    assert (first.changed, again.changed) == (True, False)
    assert again.commit == first.commit
    assert commits(hub) == 2


def test_a_check_makes_nothing(hub):
    assert destinations.check(Destination(NAME)) is False
    assert hub.repos == {}
    assert not hub.seen("POST|PUT")


def test_push_is_private_by_default(hub):
    push(public=True)
    assert not hub.repos["model", NAME].private
    with refused(ConfigError, "hub.visibility", NAME, "--public"):
        push()
    hub.repos["model", NAME].private = True
    with refused(ConfigError, "hub.visibility", NAME, "--public"):
        push(public=True)


def test_files_of_an_earlier_model_go(hub):
    push()
    pushing.publish({"model-00001-of-00001.safetensors": b"x" * 200, "notes.txt": b"mine"}, Destination(NAME), "Other")
    held = hub.files(NAME)
    assert "model.safetensors" not in held
    assert {"model-00001-of-00001.safetensors", "config.json", "README.md"} <= held.keys()


def test_branch_and_tag(hub):
    pushed = push(revision="next", tag="v1")
    repo = hub.repos["model", NAME]
    assert repo.at("next").oid == repo.at("v1").oid == pushed.commit
    assert "config.json" not in hub.files(NAME)
    assert not push(revision="next", tag="v1").changed
    with refused(RunError, "hub.tag-taken", "v1", "was pushed"):  # created by another process in the meantime
        pushing.publish({"notes.txt": b"x"}, Destination(NAME, tag="v1"), "Later")


def test_a_tag_that_is_taken_is_found_before_anything_is_sent(hub):
    push(tag="v1")
    pushing.check_tag(FILES, Destination(NAME, tag="v1"))  # it marks these very files
    pushing.check_tag({**FILES, "notes.txt": b"x"}, Destination(NAME, tag="v2"))
    changes = {
        "a file more": {**FILES, "notes.txt": b"x"},
        "another text": {**FILES, "config.json": b"{ }"},
        "other weights": {**FILES, "model.safetensors": b"x"},
        "weights that go": {path: content for path, content in FILES.items() if path != "model.safetensors"},
    }
    for what, files in changes.items():
        with refused(ConfigError, "hub.tag-taken", "v1", "--tag"):
            pushing.check_tag(files, Destination(NAME, tag="v1"))
            pytest.fail(what)
    pushing.publish({"notes.txt": b"x"}, Destination(NAME), "Later")
    with refused(ConfigError, "hub.tag-taken", "v1", "--tag"):
        pushing.check_tag(FILES, Destination(NAME, tag="v1"))


BAD_REFS = (
    "", "my tag", "v1..2", "-v1", "v1.", ".v1", "a//b", "/v1", "v1/", "v1~2", "v1^", "a:b", "what?", "all*", "[v1]",
    "v1.lock", "a/b.lock", "v1@{2}", "HEAD", "back\\slash", "tab\t", "@", "refs/heads/main", "0" * 40,
)  # fmt: skip


@pytest.mark.parametrize("wish", ["revision", "tag"])
def test_invalid_git_names_are_rejected_offline(hub, wish):
    for name in BAD_REFS:
        with refused(ConfigError, "hub.invalid-name"):
            destinations.check(Destination(NAME, **{wish: name}))
            pytest.fail(name)
    assert hub.requests == []
    for name in ("v1.0", "feature/new", "release-2026_01", "é", "a@b", "dev"):
        destinations.check(Destination(NAME, **{wish: name}))


def test_git_refuses_them_as_well():
    """All but the last three, which git would take and nobody would mean."""
    for name in BAD_REFS[:-3]:
        requested = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True)
        assert requested.returncode != 0, name


def test_a_pull_request_is_opened_once_and_gone_on_with(hub):
    hub.add("other/reviews")
    destination = Destination("other/reviews", pull_request=True)
    done = []
    for _ in range(2):
        destinations.check(destination)
        done.append(pushing.publish(FILES, destination, "Upload a model"))
    assert [(item.changed, item.revision) for item in done] == [(True, "refs/pr/1"), (False, "refs/pr/1")]
    assert [item.url for item in done] == [f"{hub.endpoint}/other/reviews/discussions/1"] * 2
    pushing.publish({**FILES, "config.json": b"{ }"}, destination, "Upload a model")
    repo = hub.repos["model", "other/reviews"]
    assert len(repo.pull_requests) == 1
    assert hub.files("other/reviews", "refs/pr/1")["config.json"].read_bytes() == b"{ }"
    assert "config.json" not in hub.files("other/reviews")


@pytest.mark.parametrize("name", ["reviews", "a/b/c", "acme/..", "acme/re views", "https://huggingface.co/acme/x", ""])
def test_invalid_repository_name_is_rejected_offline(hub, name):
    with refused(ConfigError, "hub.invalid-name", "org/name"):
        destinations.check(Destination(name))
    assert hub.requests == []


def test_a_pull_request_takes_no_branch(hub):
    with refused(ConfigError, "config.conflict", "--revision", "--tag"):
        destinations.check(Destination(NAME, pull_request=True, revision="next"))


def test_no_token(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with refused(SourceError, "hub.no-token", "HF_TOKEN"):
        destinations.check(Destination(NAME))


def test_a_token_that_the_hub_does_not_know(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with refused(SourceError, "hub.invalid-token", "HF_TOKEN"):
        destinations.check(Destination(NAME))


def test_a_token_that_only_reads(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.read_token)
    with refused(SourceError, "hub.no-write-access", "`write`"):
        destinations.check(Destination(NAME))


def test_an_organization_of_others(hub):
    with refused(SourceError, "hub.no-write-access", "others/reviews"):
        destinations.check(Destination("others/reviews"))


def test_a_fine_grained_token_writes_where_it_may():
    scope = {"entity": {"name": "acme"}, "permissions": ["repo.write"]}
    account = {"name": "tester", "auth": {"accessToken": {"role": "fineGrained", "fineGrained": {"scoped": [scope]}}}}
    destinations._check_role(account, Destination(NAME))
    with refused(SourceError, "hub.no-write-access", "tester/reviews"):
        destinations._check_role(account, Destination("tester/reviews"))


def test_refused_commit_names_the_permission(hub):
    hub.fail("POST .*/commit/", 403)
    with refused(RunError, "hub.no-write-access", NAME) as raised:
        push()
    assert "--pr" in raised.value.fix


def test_a_busy_hub_is_waited_for(hub, waits):
    hub.fail("POST .*/commit/", 429, headers={"Retry-After": "7"})
    assert push().changed
    assert 7.0 in waits
    assert commits(hub) == 2


@pytest.mark.parametrize("match", ["POST .*/commit/", "POST .*/preupload", "POST .*/batch", "POST .*/repos/create"])
def test_a_line_that_drops_is_no_harm(hub, waits, match):
    """The reply is cut off: the Hub may have done what was asked, or not."""
    hub.cut(match, after=5)
    push()
    assert commits(hub) == 2
    assert hub.files(NAME)["model.safetensors"].read_bytes() == FILES["model.safetensors"]


def test_a_push_that_died_is_repeated_without_sending_the_weights_again(hub, waits):
    hub.fail("POST .*/commit/", 503, times=100)
    with refused(RunError, "hub.server-error") as raised:
        push()
    assert "Repeat the same command" in raised.value.fix
    sent = len(hub.seen("PUT /lfs/"))
    hub._faults.clear()
    assert push().changed
    assert len(hub.seen("PUT /lfs/")) == sent == 1


def test_somebody_else_was_faster(hub):
    hub.fail("POST .*/commit/", 412)
    with refused(RunError, "hub.changed-meanwhile", NAME):
        push()


def test_texts_that_hold_the_token_or_the_home_folder_do_not_leave(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for secret in (hub.token, f"{tmp_path}/data.csv"):
        with refused(RunError, "hub.secret-in-files", "report.json"):
            pushing.publish({**FILES, "report.json": secret.encode()}, Destination(NAME), "Upload")
    assert hub.repos == {}


def test_the_hub_validates_the_card(hub):
    destinations.check_card("---\nlicense: apache-2.0\n---\n# A model\n", Destination(NAME))
    with refused(ConfigError, "hub.card-rejected", '"license" must be'):
        destinations.check_card("---\nlicense: my own\n---\n# A model\n", Destination(NAME))


IDENTIFIERS = {
    401: "hub.invalid-token",
    403: "hub.no-write-access",
    404: "hub.not-found",
    409: "hub.changed-meanwhile",
    412: "hub.changed-meanwhile",
    429: "hub.too-many-requests",
    500: "hub.server-error",
    503: "hub.server-error",
}


@pytest.mark.parametrize("step", ["GET .*/whoami", "POST .*/preupload", "POST .*/commit/"])
@pytest.mark.parametrize("status", IDENTIFIERS)
def test_every_failure_is_the_users_to_mend(hub, waits, status, step):
    hub.fail(step, status, times=100, code="RepoNotFound" if status == 404 else None)
    with refused(ToolkitError, IDENTIFIERS[status]) as raised:
        push()
    assert isinstance(raised.value, SourceError if "whoami" in step else RunError)


@pytest.mark.parametrize("step", ["GET .*/whoami", "POST .*/preupload", "POST .*/commit/"])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_temporary_errors_are_retried(hub, waits, status, step):
    hub.fail(step, status, times=2, headers={"Retry-After": "3"})
    assert push().changed
    assert waits
    assert commits(hub) == 2


def test_the_local_hub_is_asked(hub):
    assert HfApi().endpoint == hub.endpoint


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_hub_that_does_not_know_the_check_of_permission_is_pushed_to(hub, status):
    push()
    hub.fail("auth-check", status, times=9)
    assert not push().changed


def test_a_hub_that_says_no_is_believed(hub):
    push()
    hub.fail("auth-check", 403, times=9)
    with refused(SourceError, "hub.no-write-access", NAME):
        push()
    hub.fail("auth-check", 404, times=9, code="RepoNotFound")
    with refused(SourceError, "hub.no-write-access"):
        push()
