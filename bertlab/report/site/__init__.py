"""The results as a site that opens from a file: the board, a page for each study, the answers, an interactive rule.

Enters: a folder of reports, read and judged by the functions of the reports. Leaves: HTML, CSS and JavaScript that use
no network.
"""
