"""Technical documentation of a model, filled from the files of its run."""
