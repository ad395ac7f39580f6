"""Runs in `.local/judges`, where parliament is: policy documents in, its findings out, as JSON lines."""

import json
import sys
import warnings

warnings.simplefilter("ignore")  # parliament imports pkg_resources.

from parliament import analyze_policy_string  # noqa: E402 - after the filter

for line in sys.stdin:
    policy = analyze_policy_string(line)
    print(json.dumps([[finding.issue, str(finding.detail)] for finding in policy.findings]))
