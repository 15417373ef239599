"""Functions of the commands that analyse models and rows."""
