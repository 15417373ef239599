"""Models in other formats, and whether their predictions stay the same."""
