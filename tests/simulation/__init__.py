"""The whole order path in one process and in virtual time, with faults by seeded dice: see tests/README.md."""
