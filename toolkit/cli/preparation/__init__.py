"""Commands before training: the installation, the data, the recipes."""
