"""What Lambda tells a handler of its invocation."""

from aws_lambda_powertools.utilities.typing import LambdaContext


def lambda_context(request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef") -> LambdaContext:
    """Return the context of an invocation; an asynchronous one keeps its request id when it is repeated."""
    context = LambdaContext()
    context._aws_request_id = request_id
    return context
