"""Functions of the commands that train."""
