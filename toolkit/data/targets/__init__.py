"""What a label column holds: its kind, and forms of several classes in a row."""
