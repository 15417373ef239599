"""Every command as a Python function, for notebooks and for the command line."""
