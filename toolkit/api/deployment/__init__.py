"""Functions of the commands that use and ship models."""
