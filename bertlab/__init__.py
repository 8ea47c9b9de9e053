"""bertlab: the design claims about BERT, tested by experiment."""

__version__ = "0.1.0"
DISTRIBUTION = "bertlab-ablations"  # on a package index, where `bertlab` is another project
