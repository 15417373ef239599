"""Models in other forms, and whether they still say the same."""
