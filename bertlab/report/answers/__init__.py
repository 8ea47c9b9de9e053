"""The answers: a page for each question, in English and Chinese, from handwritten templates and numbers of the records.

`pages/<id>.<language>.md` hold the handwritten text: what a thing is, how it works, what others found. Our own
measurements are inserted by name; a verdict chooses every sentence about them.
"""
