"""What the tests share: an in-memory AWS, the order path in one process, sample mails, ASL interpreters."""
