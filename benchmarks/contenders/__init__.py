"""The contenders, a module each: `python -m benchmarks.contenders.NAME TASK.json RESULT.json [VARIANT]`.

A contender runs in a process of its own and imports nothing of the toolkit unless it is the toolkit, so that it
can live in another environment.
"""
