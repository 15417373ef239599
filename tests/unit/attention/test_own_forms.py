"""Forms of attention of one's own: named on the command line, or by an installed package."""

import importlib.metadata

import pytest
import torch

from tests.support.errors import refused
from toolkit import choices
from toolkit.api.call import words
from toolkit.attention import forms
from toolkit.attention.forms import Own, SlidingWindow
from toolkit.attention.implementations import sparse
from toolkit.cli import completion
from toolkit.config.own_parts import OwnPartsConfig, split_attention
from toolkit.errors import ConfigError, RecipeError
from toolkit.tasks import loading, own_parts

CODE = """
import torch

def local(layer, query, key, real, width=8):
    places = torch.arange(query.shape[2])
    return ((places[:, None] - places).abs() <= width // 2) | (places == 0) | (places[:, None] == 0)

def scores(layer, query, key, real):
    return query @ key.mT

def narrow(layer, query, key, real):
    return torch.ones(3, 3, dtype=torch.bool)
"""


@pytest.fixture(autouse=True)
def own(monkeypatch):
    monkeypatch.setattr(choices, "OWN_ATTENTION", registered := {})
    monkeypatch.setattr(forms, "OWN_ATTENTION", registered)


@pytest.fixture
def file(write):
    return write("masks.py", CODE)


def test_a_typed_form_is_a_part_of_ones_own(file):
    text = f"{file}:local:8+dense"
    assert split_attention(text) == ("local:8+dense", [f"{file}:local"])
    assert split_attention("sliding-window:8:1+dense") == ("sliding-window:8:1+dense", [])
    wanted = {"attention": "local:8+dense", "own": {"attention": [f"{file}:local"]}}
    assert words.merged({"attention": text}, None) == wanted
    assert words.merged({}, [f"attention={text}"]) == wanted


def test_a_form_equals_the_builtin_one_that_it_describes(file):
    own_parts.added(loading.load("sentiment"), OwnPartsConfig(attention=[f"{file}:local"]))
    (form,) = forms.parse("local:6")
    assert isinstance(form, Own)
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, 12, 4)
    real = torch.ones(2, 12, dtype=torch.bool)
    real[1, 9:] = False
    ours = sparse.attention(form, 0, query, key, value, real)
    theirs = sparse.attention(SlidingWindow(6), 0, query, key, value, real)
    assert torch.allclose(ours[0], theirs[0], atol=1e-6)
    assert torch.allclose(ours[1, :, :9], theirs[1, :, :9], atol=1e-6)


@pytest.mark.parametrize("name", ["scores", "narrow"])
def test_what_is_no_mask_is_refused(file, name):
    own_parts.added(loading.load("sentiment"), OwnPartsConfig(attention=[f"{file}:{name}"]))
    query = torch.randn(2, 2, 12, 4)
    with refused(RecipeError, "recipe.own-part", name, "(2, 2, 12, 12)"):
        forms.allowed(forms.parse(name)[0], 0, query, query, torch.ones(2, 12, dtype=torch.bool))


def test_only_the_command_line_and_installed_packages_define_forms(file, monkeypatch):
    for text in (f"{file}:local", "local", "os:getcwd"):  # as a folder of a model may hold it
        with refused(ConfigError, "config.unknown-choice", "own.attention"):
            forms.parse(text)
    with refused(RecipeError, "recipe.own-part", "finetune_toolkit.attention"):
        own_parts.added(loading.load("sentiment"), OwnPartsConfig(attention=["nothing"]))
    monkeypatch.syspath_prepend(file.parent)
    point = importlib.metadata.EntryPoint("near", "masks:local", "finetune_toolkit.attention")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == point.group else [])
    assert forms.parse("near:4+dense")[0].numbers == (4,)
    assert "near" in forms.known()
    assert completion.attention("dense+n") == ["dense+near"]
