"""The send ledger: one record per notification, and the protocol of its changes (README.md)."""
