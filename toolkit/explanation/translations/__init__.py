"""Word alignment of translations: links from cross-attention, and their error rate."""
