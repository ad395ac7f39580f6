"""Everything that runs in Lambda: one module per step, pure functions inside, AWS behind `steps.aws`.

While a function starts, nothing is garbage: modules, clients and AWS's service models all stay. Looking for
some in them was a sixth of a cold start's work, so the collector rests until the first invocation is over, when
`steps.contract.handler` sets aside what is there by then.
"""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    gc.disable()
