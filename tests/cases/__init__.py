"""Inputs that went wrong for users of tools like this one, each with the right outcome.

A case is a function `case_NAME(folder)` in a module of this package. It builds its input in the empty `folder`, runs
the real command line, and asserts what is right; its docstring describes that in one line. All of them run as
tests, and `python -m tests.cases [PART OF A NAME …]` prints RIGHT or WRONG for each.
"""
