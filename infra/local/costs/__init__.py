"""`make costs`: what the system costs at list price, from usage counted in a local run.

| module | what it holds |
|---|---|
| `count.py` | the counted run |
| `workflow_log.py` | what an Express workflow's log takes on AWS |
| `model.py` | a month's usage from what was counted, line by line, and its price |
| `tables.py` | what is printed, and the documents' table |
"""
