"""Tasks: what goes in, what comes out, and the recipes that put both together."""
