"""A small HTTP service for one model, with a page to try it.

request → guard.py ─ limits → app.py ─ routes → batcher.py ─ together → service.py ─ the model's one thread
"""
