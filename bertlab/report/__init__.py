"""From a table of finished runs to words, figures and CSV twins: see `bertlab.report.write`."""
