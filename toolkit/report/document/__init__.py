"""report.json: what it holds and how it is built."""
