"""Parallel texts: files of aligned sentences, catalogues, languages, markup, and pairs that teach nothing good."""

from toolkit.data.bitext.parallel_files import read as read
