"""report.json: its schema and its assembly."""
