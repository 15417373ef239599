"""Functions of the commands that come before training."""
