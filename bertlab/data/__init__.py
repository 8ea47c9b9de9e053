"""Data: documents -> sentences -> token ids, kept once for all runs that read the same text."""
