"""The one door to AWS: nowhere else is boto3 imported."""
