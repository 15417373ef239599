"""Tasks: inputs, targets, and the recipes that combine them."""
