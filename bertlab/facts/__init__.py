"""Facts: claims of the catalogue that need no experiment, because the code itself can be asked.

A fact is a function that computes plain numbers from small built models and returns them with their words and table.
"""
