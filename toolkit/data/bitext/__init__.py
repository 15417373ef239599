"""Parallel texts: files of aligned sentences, catalogues, languages, markup, and filters for bad training pairs."""

from toolkit.data.bitext.parallel_files import read as read
