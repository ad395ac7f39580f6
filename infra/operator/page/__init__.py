"""The page: what the command line asks and does, for a browser of this machine.

`app.py` has the views, `guard.py` says who may see them, `calls.py` is what they call.
"""
