"""`order-mail`: what those who operate the order mails ask and do, with their own AWS credentials.

A module is a command. What it finds or does it returns, as a dataclass or a list of them; the command line
(`cli/`) and the page (`page/`) show it. `aws.py` is the only door to AWS. Nothing of CDK is imported: a
question is to be answered at once.
"""
