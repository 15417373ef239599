"""Aligned texts from pairs of files, TMX and catalogues; what is not aligned is refused with its line."""

import pytest

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data.bitext.parallel_files import read
from toolkit.data.load import load_table
from toolkit.errors import ConfigError, DataError
from toolkit.tasks import loading

LANGUAGES = ("en", "fr")

TMX = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4"><header/><body>
<tu><tuv xml:lang="en-US"><seg>One <bpt i="1">b</bpt>dog</seg></tuv><tuv xml:lang="FR"><seg>Un chien</seg></tuv></tu>
<tu><tuv xml:lang="en-US"><seg>Alone</seg></tuv></tu>
<tu><tuv xml:lang="fr"><seg>Deux</seg></tuv><tuv xml:lang="en"><seg>Two</seg></tuv></tu>
</body></tmx>"""

PO = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "Save"
msgstr "Enregistrer"

#, fuzzy
msgid "Open"
msgstr "Ouvert ?"

msgid "Close"
msgstr ""

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d fichier"
msgstr[1] "%d fichiers"

#~ msgid "Gone"
#~ msgstr "Parti"
"""


def rows(table):
    return list(zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True))


@pytest.mark.parametrize("name", ["corpus.en", "corpus.fr", "corpus"])
def test_a_pair_of_files(name, write, tmp_path):
    write("corpus.en", "\ufeffOne\nTwo\n")
    write("corpus.fr", "Un\nDeux\n")
    table = read(tmp_path / name, LANGUAGES).parts["all"]
    assert rows(table) == [("One", "Un"), ("Two", "Deux")]
    assert table["_row"].to_pylist() == [1, 2]
    assert table["_file"].to_pylist() == ["corpus.en"] * 2


def test_a_pair_of_files_is_found_by_its_bare_name(write, tmp_path, monkeypatch):
    write("corpus.en", "One dog\n")
    write("corpus.fr", "Un chien\n")
    monkeypatch.chdir(tmp_path)
    options = {"source": "en", "target": "fr", "clean": False}
    table = load_table(loading.load("translation"), DataConfig(source="corpus"), options=options)
    assert rows(table.parts["all"]) == [("One dog", "Un chien")]


@pytest.mark.parametrize(("source", "target"), [("One\nTwo\n", "Un\n"), ("One\n", "Un\nDeux\n")])
def test_pairs_that_are_not_aligned(source, target, write, tmp_path):
    write("corpus.en", source)
    write("corpus.fr", target)
    with refused(DataError, "data.not-aligned", "line 2", "corpus.fr"):
        read(tmp_path / "corpus", LANGUAGES)


def test_a_folder_of_pairs(write, tmp_path):
    for part in ("train", "dev", "test"):
        write(f"{part}.en", "One\n")
        write(f"{part}.fr", f"Un {part}\n")
    parts = read(tmp_path, LANGUAGES).parts
    assert {part: rows(table)[0][1] for part, table in parts.items()} == {
        "train": "Un train", "validation": "Un dev", "test": "Un test"
    }  # fmt: skip


def test_a_file_of_the_pair_is_missing(write, tmp_path):
    write("corpus.en", "One\n")
    with refused(DataError, "source.file-missing", "corpus.fr"):
        read(tmp_path / "corpus.en", LANGUAGES)


def test_tmx(write):
    path = write("memory.tmx", TMX)
    table = read(path, LANGUAGES).parts["all"]
    assert rows(table) == [("One bdog", "Un chien"), ("Two", "Deux")]
    assert table["_row"].to_pylist() == [1, 3]
    with refused(DataError, "data.language-missing", "FR, en, en-US, fr"):
        read(path, ("de", "it"))
    with refused(ConfigError, "config.value-missing", "--source", "--target"):
        read(path, (None, None))
    with refused(DataError, "data.damaged-file", "broken.tmx"):
        read(write("broken.tmx", "<tmx><body>"), LANGUAGES)


def test_catalogues(write, tmp_path):
    table = read(write("fr/django.po", PO), LANGUAGES).parts["all"]
    assert rows(table) == [("Save", "Enregistrer"), ("%d file", "%d fichier"), ("%d files", "%d fichiers")]
    assert table["_row"].to_pylist()[0] == 4
    write("de/django.po", PO.replace("Enregistrer", "Sichern"))
    assert rows(read(tmp_path, LANGUAGES).parts["all"])[0] == ("Save", "Enregistrer")
    assert read(tmp_path, LANGUAGES).parts["all"]["_file"].to_pylist()[0] == "fr/django.po"
    with refused(DataError, "data.no-rows", "broken.po"):
        read(write("broken.po", "msgid no quotes"), LANGUAGES)
    with refused(DataError, "data.no-rows", "empty.po"):
        read(write("empty.po", 'msgid ""\nmsgstr ""\n'), LANGUAGES)


@pytest.mark.parametrize("sign", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_line_ends_at_line_feed_only(sign, tmp_path):
    (tmp_path / "corpus.en").write_bytes(f"\ufeffOne\r\nTwo{sign}and more\r\nThree".encode())
    (tmp_path / "corpus.fr").write_bytes(b"Un\nDeux\nTrois\n")
    expected = [("One", "Un"), (f"Two{sign}and more", "Deux"), ("Three", "Trois")]
    assert rows(read(tmp_path / "corpus", LANGUAGES).parts["all"]) == expected


def test_files_whose_lines_end_in_carriage_returns(tmp_path):
    (tmp_path / "corpus.en").write_bytes(b"One\rTwo\r")
    (tmp_path / "corpus.fr").write_bytes(b"Un\nDeux\n")
    assert rows(read(tmp_path / "corpus", LANGUAGES).parts["all"]) == [("One", "Un"), ("Two", "Deux")]


@pytest.mark.parametrize("language", ["en", "en-US", "en_us", "EN-us", "eng"])
def test_tmx_language_in_any_spelling(language, write):
    spellings = ("EN_us", "en-US", "en_US", "en-us")
    units = "".join(
        f'<tu><tuv {key}="{spelt}"><seg>s{n}</seg></tuv><tuv xml:lang="fr"><seg>t{n}</seg></tuv>'
        f'<tuv xml:lang="fr"><seg>second</seg></tuv></tu>'
        for n, (spelt, key) in enumerate((s, k) for s in spellings for k in ("xml:lang", "lang"))
    )
    path = write("memory.tmx", f'<tmx version="1.4"><header/><body>{units}</body></tmx>')
    assert rows(read(path, (language, "fr_FR")).parts["all"]) == [(f"s{n}", f"t{n}") for n in range(8)]
    with refused(DataError, "data.language-missing", "en-GB"):
        read(path, ("en-GB", "fr"))


def test_pair_of_files_with_region(write, tmp_path):
    write("corpus.en_US", "One\n")
    write("corpus.fr", "Un\n")
    for name in ("corpus", "corpus.en_US"):
        assert rows(read(tmp_path / name, ("en-US", "fr")).parts["all"]) == [("One", "Un")]
    assert rows(read(tmp_path, ("en", "fr_FR")).parts["all"]) == [("One", "Un")]
    write("corpus.en_GB", "One\n")
    with refused(DataError, "source.ambiguous", "en_GB, en_US"):
        read(tmp_path / "corpus", ("en", "fr"))


def catalogue(word, language=""):
    return PO.replace("UTF-8\\n", f"UTF-8\\nLanguage: {language}\\n").replace("Enregistrer", word)


def test_catalogues_of_several_languages(write, tmp_path):
    for language in ("de", "pt_BR"):
        write(f"locale/{language}/LC_MESSAGES/app.po", catalogue(language))
    write("po/fr.po", catalogue("fr"))
    write("po/more/it/app.po", catalogue("it"))
    write("app.po", catalogue("ast", language="ast"))
    write("template.po", catalogue("unknown"))
    for target, word in (("pt", "pt_BR"), ("de", "de"), ("fr_FR", "fr"), ("it", "it"), ("ast", "ast")):
        assert rows(read(tmp_path, ("en", target)).parts["all"])[0] == ("Save", word)
    for target in ("nl", "pt_PT", None):
        with refused(DataError, "data.ambiguous-languages", "ast, de, fr, it, pt_BR"):
            read(tmp_path, ("en", target))
    write("po/pt_PT.po", catalogue("pt_PT"))
    with refused(DataError, "data.ambiguous-languages", "pt_BR, pt_PT"):
        read(tmp_path, ("en", "pt"))


def test_catalogues_that_state_no_language(write, tmp_path):
    write("ui.po", catalogue("Sichern", language="de"))
    write("help.po", catalogue("Retten"))
    found = read(tmp_path, ("en", "de")).parts["all"]
    assert {target for source, target in rows(found) if source == "Save"} == {"Sichern", "Retten"}
    with refused(DataError, "data.ambiguous-languages", "ui.po", "de", "fr"):
        read(tmp_path / "ui.po", LANGUAGES)
    assert read(tmp_path / "help.po", LANGUAGES).parts["all"].num_rows == 3


def test_catalogue_with_mark_and_without_charset(tmp_path):
    text = PO.replace("UTF-8", "CHARSET").replace("Enregistrer", "Éditer")
    (tmp_path / "app.po").write_bytes(f"\ufeff{text}".encode())
    assert rows(read(tmp_path / "app.po", LANGUAGES).parts["all"])[0] == ("Save", "Éditer")


def test_other_formats_are_left_to_others(write, tmp_path):
    assert read(write("table.csv", "en,fr\nOne,Un\n"), LANGUAGES) is None
    assert read(tmp_path, LANGUAGES) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("flat.jsonl", '{"en": "One", "fr": "Un"}\n{"en": "Two", "fr": "Deux"}\n'),
        ("nested.jsonl", '{"translation": {"en": "One", "fr": "Un"}}\n{"translation": {"en": "Two", "fr": "Deux"}}\n'),
        ("named.tsv", "target\tsource\nUn\tOne\nDeux\tTwo\n"),
    ],
)
def test_columns_are_found_by_language(name, content, write):
    recipe = loading.load("translation")
    config = DataConfig(source=str(write(name, content)))
    table = load_table(recipe, config, options={"source": "en", "target": "fr"})
    assert rows(table.parts["all"]) == [("One", "Un"), ("Two", "Deux")]


def test_missing_languages_are_rejected(write):
    config = DataConfig(source=str(write("nested.jsonl", '{"translation": {"en": "One", "fr": "Un"}}\n')))
    with refused(DataError, "data.column-unrecognized", "`translation.en`", "--set options.source="):
        load_table(loading.load("translation"), config)
    config, half = DataConfig(source=str(write("half.csv", "en,x\nOne,Un\n"))), {"source": "en"}
    with refused(DataError, "data.column-unrecognized", "--set options.target=", "--set data.columns.target="):
        load_table(loading.load("translation"), config, options=half)
