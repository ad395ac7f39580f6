"""The scheduled reports: what the mails cost, whether too many bounce, why orders are rejected."""
