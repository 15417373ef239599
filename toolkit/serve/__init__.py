"""A small HTTP service around one model, and a page that asks it.

request → guard.py ─ limits → app.py ─ routes → batcher.py ─ together → service.py ─ the model's one thread
"""
