"""A small HTTP service around one model, and a page that asks it.

request → app.py ── checks, limits ──→ batcher.py ── together ──→ service.py ── the model's one thread
"""
