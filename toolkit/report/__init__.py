"""The report: report.json, and the HTML and Markdown pages made from it."""
