"""Files as values of rows, pictures and recordings: as columns, in folders, and validated."""
