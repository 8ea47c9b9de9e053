"""The encoder and its heads, built from parts. The config chooses a part; code never branches on a part's name."""
