"""Gives a Lambda worker a clock of its own: wrong by up to `CLOCK_SKEW_SECONDS`, ahead or behind.

Python imports a module of this name by itself at its start (the `site` module), so the function's code
knows nothing of it. Without the variable the clock is right. It moves `time.time` alone: signatures are
made by `datetime`, and AWS refuses those that are wrong by more than five minutes.
"""

import os
import random
import time

if limit := float(os.environ.get("CLOCK_SKEW_SECONDS", "0")):
    right_time, skew = time.time, random.uniform(-limit, limit)  # noqa: S311 - no secret

    def wrong_time() -> float:
        """Return the time that this worker believes it is."""
        return right_time() + skew

    time.time = wrong_time
