"""Independent judges of the synthesised templates: cdk-nag, cfn-lint, checkov, parliament.

`python -m tests.infra.judges` prints what they say. A finding is mended, or acknowledged where the resource
is made (`infra.nag.acknowledge`), by its exact name and with a reason: `checkov-CKV_AWS_117`.
"""
