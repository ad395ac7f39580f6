"""The one door to AWS: a module per service, and nowhere else is boto3 imported."""
