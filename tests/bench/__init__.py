"""Benchmarks: programs that print ratios against a baseline, not tests."""
