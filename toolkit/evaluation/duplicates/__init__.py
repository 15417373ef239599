"""Test rows that repeat training rows."""
