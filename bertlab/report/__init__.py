"""Reports: a table of finished runs -> words, figures and the CSV files behind them; see `bertlab.report.write`."""
