"""Tasks of one's own: files with labels -> examples as token ids, what is right, and metrics. Knows no model."""
