"""Data: documents -> sentences -> token ids, stored once for all runs on the same text; and the batches of a run."""
