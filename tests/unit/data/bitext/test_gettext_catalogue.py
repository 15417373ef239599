"""A catalogue is written back unchanged, with missing translations filled in and marked."""

import polib
import pytest

from tests.unit.data.bitext.test_parallel_files import PO
from toolkit.data.bitext import gettext_catalogue


def test_only_what_is_missing_is_translated(write, tmp_path):
    source = write("in.po", PO)
    assert list(gettext_catalogue.messages(source)) == ["Open", "Close"]
    gettext_catalogue.write(source, tmp_path / "out.po", ["Ouvrir", None])
    entries = {entry.msgid: entry for entry in polib.pofile(str(tmp_path / "out.po"))}
    assert (entries["Open"].msgstr, entries["Open"].flags) == ("Ouvrir", ["fuzzy"])
    assert (entries["Close"].msgstr, entries["Close"].flags) == ("", [])
    assert (entries["Save"].msgstr, entries["Save"].flags) == ("Enregistrer", [])
    assert entries["%d file"].msgstr_plural == {0: "%d fichier", 1: "%d fichiers"}


def test_everything_again(write, tmp_path):
    source = write("in.po", PO)
    messages = list(gettext_catalogue.messages(source, everything=True))
    assert messages == ["Save", "Open", "Close", "%d file", "%d files"]
    gettext_catalogue.write(source, tmp_path / "out.po", [message.upper() for message in messages], everything=True)
    entries = {entry.msgid: entry for entry in polib.pofile(str(tmp_path / "out.po"))}
    assert entries["%d file"].msgstr_plural == {0: "%D FILE", 1: "%D FILES"}
    assert all(entry.flags == ["fuzzy"] for entry in entries.values() if not entry.obsolete)
    assert entries["Gone"].obsolete


def test_white_space_around_a_message_stays(write, tmp_path):
    source = write("in.po", 'msgid ""\nmsgstr ""\n\nmsgid "\\nOne\\n"\nmsgstr ""\n')
    gettext_catalogue.write(source, tmp_path / "out.po", ["  Un"])
    assert polib.pofile(str(tmp_path / "out.po"))[0].msgstr == "\nUn\n"


def test_polib_is_named_where_it_is_missing(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "polib", None)
    with pytest.raises(Exception, match="polib"):
        gettext_catalogue.read(write("in.po", PO))
