"""Data: documents -> sentences -> token ids, stored once for all runs on the same text."""
