"""`toolkit dossier` on the command line: what is printed, where it writes, and how it ends."""

import json
from pathlib import Path

from tests.support.cli import several, toolkit
from tests.support.dossiers import make_run
from tests.support.reports import sample


def test_the_command_writes_prints_and_refuses(tmp_path: Path) -> None:
    make_run(tmp_path, sample())
    (tmp_path / "extra.yaml").write_text("provider: Acme\n", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("providers: Acme\n", encoding="utf-8")
    written, printed, wrong, absent = several(
        [
            ("dossier", "run"),
            ("dossier", "run", "--json", "--card-extra", "extra.yaml", "--output", "documents"),
            ("dossier", "run", "--json", "--card-extra", "wrong.yaml", "--output", "none"),
            ("dossier", "elsewhere"),
        ],
        cwd=tmp_path,
        all_of_them=True,
    )
    assert (written.code, printed.code, wrong.code, absent.code) == (0, 0, 2, 2), written.text + printed.text
    assert str(Path("run", "dossier", "dossier.md")) in written.out
    content = json.loads(printed.out)
    assert (content["counts"]["given by you"], (tmp_path / "documents" / "dossier.md").is_file()) == (1, True)
    assert content["summary"] in (tmp_path / "documents" / "dossier.md").read_text(encoding="utf-8")
    assert json.loads(wrong.out)["error"]["id"] == "config.unknown-key"
    assert not (tmp_path / "none").exists()
    assert "run.not-found" in absent.err


def test_texts_are_kept_and_an_older_pdf_is_not(tmp_path: Path) -> None:
    make_run(tmp_path, sample())
    (tmp_path / "extra.yaml").write_text("provider: Acme\n", encoding="utf-8")
    folder = tmp_path / "run" / "dossier"
    first = toolkit("dossier", "run", "--card-extra", "extra.yaml", "--pdf", cwd=tmp_path)
    assert first.code == 0, first.text
    assert (folder / "dossier.pdf").is_file()
    again = toolkit("dossier", "run", cwd=tmp_path)
    assert again.code == 0, again.text
    assert "Acme" in (folder / "dossier.md").read_text(encoding="utf-8")
    assert not (folder / "dossier.pdf").exists()
    (folder / "card-extra.yaml").unlink()
    assert toolkit("dossier", "run", cwd=tmp_path).code == 0
    assert "Acme" not in (folder / "dossier.md").read_text(encoding="utf-8")
