"""The scheduled reports: what the mails cost, and whether too many bounce."""
