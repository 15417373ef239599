"""Pages of what attention and explanations show."""
