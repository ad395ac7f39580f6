"""The tests and the programs beside them run functions in this process: as those of `prod`."""

import os

from steps.contract.metrics import PRODUCTION, namespace

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", namespace(PRODUCTION))
