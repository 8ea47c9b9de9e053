"""The report of a registered study: its verdict in words, the numbers behind it, and its limits."""

from bertlab.report.study.contrasts import verdict_table
from bertlab.report.study.verdict import headline
from bertlab.report.study.write import write_study

__all__ = ["headline", "verdict_table", "write_study"]
