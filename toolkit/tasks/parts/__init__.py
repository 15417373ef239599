"""Parts that several recipes share, for a recipe file to import under the names of its contract."""
