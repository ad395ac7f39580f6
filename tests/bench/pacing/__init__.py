"""How close to the permitted rate the mails go out under overload: `python -m tests.bench.pacing`.

Half as much again as permitted is offered, and all is measured from the first order to the last one
offered: at first everything is cold, and nothing is known of the account. At each rate the real
dispatcher, as many at once as `MaximumConcurrency` lets, paces through an item in memory; each mail runs
through the real steps; SES is the laptop's, over HTTP, in a process of its own, with its token bucket and
its one GetAccount a second. It all runs in two processes, since a laptop cannot start fifty mails a second
through five Lambdas each: functions are made to start and to last as on AWS, and a table that grants every
claim takes no time. `--deployed` adds runs through the deployed stack, at rates that the laptop carries.
Until the first mail is through five cold functions nothing can be sent, so a run is to last for minutes:
in process that is made to take five seconds (an assumption), on a busy laptop it took nine.
"""
