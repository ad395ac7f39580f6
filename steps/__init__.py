"""Everything that runs in Lambda: one module per step, pure functions inside, AWS behind `steps.aws`."""
