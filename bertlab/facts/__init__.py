"""Facts: claims of the catalogue that need no experiment, because the code itself gives the answer.

A fact is a function that computes numbers from small models and returns them with sentences and a table.
"""
