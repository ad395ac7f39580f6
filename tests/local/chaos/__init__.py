"""`make chaos`: many orders through the deployed stack while everything around them fails.

    python -m tests.local.chaos [--orders 1000] [--seed 1]

A stack of its own, gone afterwards. Modules: `orders` (what is published), `faults` (what fails), `facts`
(what the stack tells of itself), `verdict` and `outcomes` (whether the promise was kept; pure), `run` (all
together).

SES throttles a fifth of its calls, loses answers after it took the mail, answers 5xx; its events come late,
repeated, shuffled, or not at all. DynamoDB, Step Functions, SQS and SNS throttle, fail, lose answers and
dawdle; some writes land up to 20 seconds later, long after their repetition. Dispatchers, steps and what tells
the outcomes are killed, the dispatchers' clocks are wrong, three deployments in the middle are broken for some
seconds, and an operator redrives the dead letters half-way. One order in five is published twice or more, one
in twenty is poison: lone surrogates, and messages that are too large for an execution.

A shop's queue is subscribed to the outcomes from the beginning to the end.

Two waits are scaled down, so that a run takes minutes: the grace period of a mail in doubt (a setting of
the app), and the order queue's visibility time-out, which here may end before a dispatcher does.
"""
