"""The results as a site that opens from a file: the board, a page for each study, the answers, the rule to play with.

Enters: a folder of reports, read and judged by the functions that the reports are written with. Leaves: HTML, CSS and
JavaScript that ask nothing of any network.
"""
