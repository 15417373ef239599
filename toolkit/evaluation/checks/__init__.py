"""The sections of an evaluation, a file each."""
