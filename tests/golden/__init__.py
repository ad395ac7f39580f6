"""Every sample mail in every language, as it leaves: `python -m tests.golden` writes them anew.

A change to a template, a text or a style shows here as a diff for a person to review.
"""
