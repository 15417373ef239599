"""The verdicts of a gate as JUnit XML, which CI systems show as tests."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from toolkit.report.document.schema import REPORT, fill
from toolkit.report.sections.gate import rules


def to_junit(report: Mapping[str, Any]) -> str:
    """Return a test suite with a test for each rule; one that is not passed is a failure of the type of its verdict."""
    filled = fill(REPORT, report)
    suite = ElementTree.Element("testsuite", name="gate", timestamp=filled["created"].partition("+")[0])
    failures = 0
    for rule, cells in zip(filled["gate"]["rules"], rules(filled["gate"]).rows, strict=True):
        case = ElementTree.SubElement(suite, "testcase", classname=f"gate.{rule['rule']}", name=cells[0].text)
        if rule["verdict"] != "passed":
            failures += 1
            loss, margin = (f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in cells[2:4])
            message = rule["reason"] or f"worse by {loss}, margin {margin}"
            failure = ElementTree.SubElement(case, "failure", type=rule["verdict"], message=message)
            failure.text = f"{rule['verdict']}: {message}"
    suite.set("tests", str(len(filled["gate"]["rules"])))
    suite.set("failures", str(failures))
    ElementTree.indent(suite)
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"
