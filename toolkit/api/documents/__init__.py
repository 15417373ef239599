"""The documents that `--json` prints: a dataclass for each command, and the JSON Schemas of them and of files."""
