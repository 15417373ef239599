"""HTML, Markdown and terminal pages made from report.json."""
