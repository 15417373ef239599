"""`explain`: attributions of texts, images and translations, and how faithful each method is."""
