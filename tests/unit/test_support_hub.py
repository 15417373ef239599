"""The local Hub, seen through the clients that the other tests use it with."""

import hashlib
import io
import os
import subprocess
import sys
import textwrap
import urllib.request

import huggingface_hub.constants
import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.support.hub import LocalHub

# huggingface_hub sends LFS files in a way that its HTTP library calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

WEIGHTS = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def no_xet(monkeypatch):
    """Where a subprocess has HF_HUB_DISABLE_XET."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@pytest.fixture
def hub():
    with LocalHub() as hub:
        yield hub


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.endpoint, token=hub.token)


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client meant to wait, which it no longer does."""
    calls = []
    monkeypatch.setattr("time.sleep", calls.append)
    return calls


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "README.md").write_text("# A model\n")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "onnx" / "model.onnx").write_bytes(WEIGHTS[::-1])
    return folder


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }


# Reading.


def test_a_snapshot_is_what_was_added_and_the_patterns_choose(hub, api, model, tmp_path):
    commit = hub.add("someone/model", model)
    assert hashes(model) == hashes(tmp_path / api.snapshot_download("someone/model", local_dir=tmp_path / "all"))
    chosen = tmp_path / api.snapshot_download("someone/model", cache_dir=tmp_path / "hf", allow_patterns="*.json")
    assert (chosen.name, set(hashes(chosen))) == (commit, {"config.json"})


def test_a_second_download_is_served_from_the_cache(hub, api, model, tmp_path):
    hub.add("someone/model", model)
    first = api.snapshot_download("someone/model", cache_dir=tmp_path / "hf")
    bodies = len(hub.seen("GET .*/resolve/"))
    assert bodies == 4
    assert api.snapshot_download("someone/model", cache_dir=tmp_path / "hf") == first
    assert len(hub.seen("GET .*/resolve/")) == bodies


def test_the_cache_is_enough_once_the_hub_is_gone(model, tmp_path, waits):
    with LocalHub() as hub:
        hub.add("someone/model", model)
        api = HfApi(endpoint=hub.endpoint, token=False)
        online = api.snapshot_download("someone/model", cache_dir=tmp_path / "hf")
        requested = len(hub.requests)
        offline = api.snapshot_download("someone/model", cache_dir=tmp_path / "hf", local_files_only=True)
        assert (offline, len(hub.requests)) == (online, requested)
    assert api.hf_hub_download("someone/model", "config.json", cache_dir=tmp_path / "hf").startswith(online)
    with pytest.raises(LocalEntryNotFoundError):
        api.hf_hub_download("someone/model", "vocab.txt", cache_dir=tmp_path / "hf")
    assert sum(waits) > 10  # for what it does not have, the client tries again and again


def test_a_cut_download_resumes_where_it_stopped(hub, api, model, tmp_path, monkeypatch, waits):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # less than 10 MB is lost otherwise
    hub.add("someone/model", model)
    hub.cut("model.safetensors", after=50_500)
    path = api.hf_hub_download("someone/model", "model.safetensors", local_dir=tmp_path / "out")
    assert (tmp_path / path).read_bytes() == WEIGHTS
    assert len(hub.seen("GET .*model.safetensors")) == 2
    assert waits == [1]


@pytest.mark.parametrize(
    ("span", "start", "stop"), [("0-9", 0, 10), ("102390-", 102390, None), ("-5", -5, None), ("9-999999999", 9, None)]
)
def test_ranges(hub, model, span, start, stop):
    hub.add("someone/model", model)
    url = f"{hub.endpoint}/someone/model/resolve/main/model.safetensors"
    reply = huggingface_hub.get_session().get(url, headers={"Range": f"bytes={span}"})
    assert (reply.status_code, reply.content) == (206, WEIGHTS[start:stop])
    assert reply.headers["Content-Range"].endswith(f"/{len(WEIGHTS)}")


def test_a_range_past_the_end_is_refused(hub, model):
    hub.add("someone/model", model)
    url = f"{hub.endpoint}/someone/model/resolve/main/config.json"
    assert huggingface_hub.get_session().get(url, headers={"Range": "bytes=5000-"}).status_code == 416


def test_listings_tell_folders_large_files_and_history(hub, api, model):
    first = hub.add("someone/model", model, info={"pipeline_tag": "text-classification"})
    (model / "config.json").write_text("{}")
    second = hub.add("someone/model", model)
    assert [commit.commit_id for commit in api.list_repo_commits("someone/model")] == [second, first]
    assert {entry.path for entry in api.list_repo_tree("someone/model")} == {
        "README.md", "config.json", "model.safetensors", "onnx"
    }  # fmt: skip
    assert [entry.path for entry in api.list_repo_tree("someone/model", "onnx")] == ["onnx/model.onnx"]
    weights, folder = api.get_paths_info("someone/model", ["model.safetensors", "onnx", "absent"])
    assert (weights.size, weights.lfs.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    assert folder.path == "onnx"
    info = api.model_info("someone/model", files_metadata=True, revision=first)
    assert (info.sha, info.private, info.gated) == (first, False, False)
    assert {file.rfilename: file.size for file in info.siblings}["model.safetensors"] == len(WEIGHTS)


def test_a_name_without_a_namespace(hub, api, model):
    hub.add("gpt2", model)
    hub.add("squad", model, kind="dataset")
    assert api.model_info("gpt2", revision="main").id == "gpt2"
    assert "config.json" in api.list_repo_files("squad", repo_type="dataset")
    assert api.file_exists("squad", "config.json", repo_type="dataset")


# Refusals.


@pytest.mark.parametrize("token", [False, LocalHub.token])
def test_an_unknown_repository(hub, token):
    api = HfApi(endpoint=hub.endpoint, token=token)
    with pytest.raises(RepositoryNotFoundError) as caught:
        api.snapshot_download("no/such")
    assert caught.value.response.status_code == (404 if token else 401)


def test_an_unknown_revision_and_an_unknown_file(hub, api, model, tmp_path):
    hub.add("someone/model", model)
    with pytest.raises(RevisionNotFoundError):
        api.model_info("someone/model", revision="v9")
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("someone/model", "vocab.txt", cache_dir=tmp_path / "hf")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree("someone/model", "absent"))
    assert list((tmp_path / "hf").rglob("*/.no_exist/*/vocab.txt"))


def test_a_bad_token_is_refused_even_for_what_is_public(hub, model):
    hub.add("someone/model", model)
    api = HfApi(endpoint=hub.endpoint, token="stale")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as caught:
        api.model_info("someone/model")
    assert caught.value.response.status_code == 401
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami()


def test_whoami_tells_the_role_and_the_organizations(hub):
    for token, role in [(hub.token, "write"), (hub.read_token, "read")]:
        me = HfApi(endpoint=hub.endpoint, token=token).whoami()
        assert (me["name"], me["auth"]["accessToken"]["role"]) == (hub.user, role)
        assert [org["name"] for org in me["orgs"]] == list(hub.organizations)


@pytest.mark.parametrize(("token", "status"), [(False, 401), (LocalHub.token, 403)])
def test_a_gated_repository_shows_itself_but_not_its_files(hub, model, tmp_path, token, status):
    hub.add("someone/model", model, gated="manual")
    api = HfApi(endpoint=hub.endpoint, token=token)
    assert api.model_info("someone/model").gated == "manual"
    with pytest.raises(GatedRepoError) as caught:
        api.hf_hub_download("someone/model", "config.json", cache_dir=tmp_path / "hf")
    assert caught.value.response.status_code == status
    with pytest.raises(GatedRepoError):
        api.auth_check("someone/model")
    hub.repos["model", "someone/model"].readers.add(hub.user)
    if token:
        api.hf_hub_download("someone/model", "config.json", cache_dir=tmp_path / "hf")


def test_a_private_repository_is_invisible_to_others(hub, model):
    hub.add("someone/secret", model, private=True)
    hub.add("acme/secret", model, private=True)
    api = HfApi(endpoint=hub.endpoint, token=hub.read_token)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("someone/secret")
    assert api.model_info("acme/secret").private
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("acme/secret", token=False)


def test_a_429_is_waited_out(hub, api, model, tmp_path, waits):
    hub.add("someone/model", model)
    hub.fail(r"GET .*resolve/.*safetensors", status=429, times=2, headers={"Retry-After": "3"})
    api.snapshot_download("someone/model", cache_dir=tmp_path / "hf", allow_patterns="*.safetensors")
    assert len(hub.seen("GET .*resolve/.*safetensors")) == 3
    assert waits == [4.0, 4.0]  # the client adds a second


def test_faults_carry_an_error_code_and_end(hub, api, model):
    hub.add("someone/model", model)
    hub.fail("/api/models/", status=404, code="RepoNotFound")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("someone/model")
    assert api.model_info("someone/model").id == "someone/model"


def test_unknown_hub_items_give_404(hub):
    reply = huggingface_hub.get_session().get(f"{hub.endpoint}/api/papers")
    assert (reply.status_code, reply.json()["error"]) == (501, "LocalHub does not answer GET /api/papers")


# Writing.


def test_an_uploaded_folder_comes_back_the_same(hub, api, model, tmp_path):
    (model / "empty.bin").touch()
    url = api.create_repo("tester/model", private=True)
    assert (url.repo_id, url.repo_type) == ("tester/model", "model")
    api.create_repo("tester/model", exist_ok=True)
    commit = api.upload_folder(repo_id="tester/model", folder_path=model, commit_message="Ours")
    assert len(hub.seen("PUT /lfs/")) == 2
    back = tmp_path / api.snapshot_download("tester/model", cache_dir=tmp_path / "hf")
    assert back.name == commit.oid
    assert hashes(back) == hashes(model) | {".gitattributes": hashes(back)[".gitattributes"]}
    assert hub.files("tester/model")["model.safetensors"].read_bytes() == WEIGHTS
    again = api.upload_folder(repo_id="tester/model", folder_path=model)
    assert again.oid == commit.oid, "nothing changed, so nothing is committed"
    assert len(hub.seen("POST .*/commit/")) == 1


def test_a_pull_request_leaves_main_alone(hub, api, model, tmp_path):
    main = hub.add("someone/model", model)
    (model / "config.json").write_text("{}")
    with pytest.raises(HfHubHTTPError, match="403"):
        api.upload_folder(repo_id="someone/model", folder_path=model)
    commit = api.upload_folder(repo_id="someone/model", folder_path=model, create_pr=True, commit_message="Better")
    assert (commit.pr_num, commit.pr_revision) == (1, "refs/pr/1")
    assert api.model_info("someone/model").sha == main
    path = api.hf_hub_download("someone/model", "config.json", revision="refs/pr/1", cache_dir=tmp_path / "hf")
    assert (tmp_path / path).read_text() == "{}"
    assert [pull.title for pull in api.get_repo_discussions("someone/model", author=hub.user)] == ["Better"]
    assert api.get_discussion_details("someone/model", 1).git_reference == "refs/pr/1"
    refs = api.list_repo_refs("someone/model", include_pull_requests=True)
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [("refs/pr/1", commit.oid)]


def test_a_pull_request_put_there_by_the_test_is_found_as_transformers_does(hub, api, model, tmp_path):
    addition = tmp_path / "addition"
    addition.mkdir()
    (addition / "other.safetensors").write_bytes(WEIGHTS)
    main = hub.add("someone/model", model)
    title = "Adding `safetensors` variant of this model"
    assert hub.add_pull_request("someone/model", title, "SFconvertbot", addition) == 1
    [pull] = api.get_repo_discussions("someone/model", discussion_type="pull_request", discussion_status="open")
    assert (pull.title, pull.author, pull.status, pull.is_pull_request) == (title, "SFconvertbot", "open", True)
    commits = api.list_repo_commits("someone/model", revision=pull.git_reference)
    assert commits[1].commit_id == main
    assert api.file_exists("someone/model", "other.safetensors", revision=pull.git_reference)
    assert not api.file_exists("someone/model", "other.safetensors")


def test_a_draft_pull_request_can_be_pushed_to(hub, api, model):
    hub.add("someone/model", model)
    pull = api.create_pull_request("someone/model", title="Later")
    assert (pull.num, pull.status) == (1, "draft")
    api.upload_file(
        path_or_fileobj=b"new", path_in_repo="new.txt", repo_id="someone/model", revision=pull.git_reference
    )
    assert hub.files("someone/model", "refs/pr/1")["new.txt"].read_bytes() == b"new"


def test_commits_add_delete_and_check_their_parent(hub, api, model):
    first = hub.add("tester/model", model)
    operations = [CommitOperationAdd("extra.txt", io.BytesIO(b"extra")), CommitOperationDelete("onnx/")]
    done = api.create_commit("tester/model", operations, commit_message="Tidy", parent_commit=first)
    assert set(hub.files("tester/model")) == {"README.md", "config.json", "extra.txt", "model.safetensors"}
    assert set(hub.files("tester/model", first)) >= {"onnx/model.onnx"}
    more = [CommitOperationAdd("more.txt", b"more")]
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit("tester/model", more, commit_message="Stale", parent_commit=first)
    with pytest.raises(EntryNotFoundError):
        api.delete_file("absent.txt", "tester/model")
    assert api.model_info("tester/model").sha == done.oid


def test_branches_and_tags(hub, api, model):
    first = hub.add("tester/model", model)
    api.create_branch("tester/model", branch="try/this")
    api.create_tag("tester/model", tag="v1")
    api.create_tag("tester/model", tag="v1", exist_ok=True)
    api.upload_file(path_or_fileobj=b"1", path_in_repo="one.txt", repo_id="tester/model", revision="try/this")
    assert api.model_info("tester/model", revision="v1").sha == first == api.model_info("tester/model").sha
    assert "one.txt" in api.list_repo_files("tester/model", revision="try/this")
    api.delete_branch("tester/model", branch="try/this")
    api.delete_tag("tester/model", tag="v1")
    refs = api.list_repo_refs("tester/model")
    assert ([ref.name for ref in refs.branches], refs.tags) == (["main"], [])


def test_settings_and_deletion(hub, api, model):
    hub.add("tester/model", model)
    api.update_repo_settings("tester/model", visibility="private", gated="auto")
    info = api.model_info("tester/model")
    assert (info.private, info.gated) == (True, "auto")
    api.delete_repo("tester/model")
    assert not api.repo_exists("tester/model")
    api.delete_repo("tester/model", missing_ok=True)


def test_a_read_token_cannot_write(hub, model):
    hub.add("tester/model", model)
    api = HfApi(endpoint=hub.endpoint, token=hub.read_token)
    api.auth_check("tester/model")
    for write in (
        lambda: api.auth_check("tester/model", write=True),
        lambda: api.create_repo("tester/other"),
        lambda: api.upload_folder(repo_id="tester/model", folder_path=model),
        lambda: api.delete_repo("tester/model"),
    ):
        with pytest.raises(HfHubHTTPError) as caught:
            write()
        assert caught.value.response.status_code == 403


# Whole programs.


def run(script, hub, cache):
    environment = os.environ | hub.environment(cache)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_datasets_loads_a_data_set(hub, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for split, texts in {"train": ["good", "bad", "fine"], "test": ["poor"]}.items():
        pyarrow.parquet.write_table(pyarrow.table({"text": texts}), folder / f"{split}-00000-of-00001.parquet")
    hub.add("someone/reviews", folder, kind="dataset")
    script = """
        from datasets import load_dataset
        data = load_dataset("someone/reviews")
        print({name: split["text"][:] for name, split in data.items()})
    """
    assert run(script, hub, tmp_path / "hf").strip() == "{'train': ['good', 'bad', 'fine'], 'test': ['poor']}"
    assert hub.seen("GET /datasets/someone/reviews/resolve/.*/train-.*parquet")
    assert not hub.seen("CONNECT")


def test_a_request_that_would_leave_the_machine_is_refused_and_seen(hub, tmp_path):
    proxy = urllib.request.ProxyHandler({"https": hub.environment(tmp_path)["HTTPS_PROXY"]})
    with pytest.raises(OSError, match="501"):
        urllib.request.build_opener(proxy).open("https://elsewhere.invalid/page")
    assert hub.seen("CONNECT") == ["CONNECT elsewhere.invalid:443"]


def test_transformers_finds_a_file(hub, model, tmp_path):
    commit = hub.add("someone/model", model)
    script = """
        from transformers.utils import cached_file  # the Auto classes would import torch first
        print(cached_file("someone/model", "config.json"))
    """
    assert run(script, hub, tmp_path / "hf").strip().endswith(f"{commit}/config.json")
