"""Numbers in, small frozen results out: intervals over seeds. Knows numpy and scipy and nothing of ours."""
