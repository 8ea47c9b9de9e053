"""The encoder and its heads, assembled from parts. A part is chosen by config and never by name in code."""
