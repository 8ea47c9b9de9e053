"""Running a study: which of its runs are made, and when it is judged."""
