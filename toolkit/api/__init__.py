"""Every command as a function of Python: what a notebook calls, and what the command line prints."""
