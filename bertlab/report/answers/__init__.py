"""The answers: a page for each question, in English and Chinese, from templates by hand and numbers from the records.

`pages/<id>.<language>.md` holds what was written by hand: what a thing is, how it works, what others found. Whatever
was measured here enters by name, and every sentence about it is chosen by its verdict.
"""
