"""Runs a study: decides which runs are made and when they are judged."""
