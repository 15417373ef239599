"""The section on generated texts."""

from toolkit.report.sections.targets.generated_text import writing


def test_glossary_terms_without_source_are_listed():
    terms = [
        {"term": "dog", "translation": "Hund", "tried": 2, "kept": 0.5},
        {"term": "horse", "translation": "Pferd", "tried": 0, "kept": None},
    ]
    glossary = {"source": "terms.csv", "kept": {"value": 0.5, "low": 0.1, "high": 0.9}, "references_kept": 1.0}
    check = {"title": "Nothing was written", "tried": 2, "references_failed": 0.0, "clear": False, "failures": []}
    check["failed"] = {"value": 0.0, "low": 0.0, "high": 0.6}
    results = {"checks": [check], "worst": [], "worst_by": "chrF2", "glossary": {**glossary, "terms": terms}}
    (section,) = writing(results)
    *_, output, table = section.blocks
    assert "kept in 50.0 %" in output.text
    assert output.text.endswith("; 1 of 2 terms occur in no source.")
    assert [cell.text for cell in table.rows[1]] == ["horse", "Pferd", "0", "–"]
