"""The operator's tool: its rules in memory; on the local stack: `tests/local`."""
