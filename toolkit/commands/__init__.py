"""The commands: a module for each, a folder where it takes several."""
