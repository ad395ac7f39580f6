"""Hostile order events against the real handlers: `python -m tests.fuzz`.

events.py   the events: each hostile class by its name, and mutations of the samples by seed
trial.py    one event through dispatch's name, Validate and Render, in a process of its own, measured and judged
"""
