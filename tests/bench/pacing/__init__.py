"""How close to the permitted rate the mails go out under overload: `python -m tests.bench.pacing`.

Twice the permitted load is offered. At each rate the real dispatcher, as many at once as
`MaximumConcurrency` lets, paces through the real table item (moto's); each mail runs through the real
steps; SES is the laptop's, over HTTP, in a process of its own, with its token bucket. It all runs in
two processes, since a laptop cannot start fifty mails a second through five Lambdas each; an
execution is made to last as long as on AWS. `--deployed` adds a run at 1/s through the deployed stack.
"""
