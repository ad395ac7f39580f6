"""SES v2 as the laptop plays it, for what the emulator leaves out.

Clients reach it by the emulator, which passes on what is for SES v2; the Lambdas through
`AWS_ENDPOINT_URL_SESV2`, since only so an answer can be lost without a byte. Every call goes on to the
emulator with its caller's signature, so IAM decides; then this package sends the mail to the inbox, publishes
the configuration set's events, keeps the account (rate, quota, suppression list) and takes faults.

Modules: `settings` (account and faults, and their dice), `account` (what SES refuses), `mime` (the
mail on the wire), `events` (what SES publishes), `upstream` (the emulator), `core` (all together),
`server` (HTTP). Start: `python -m infra.local.ses --help`.
"""
