"""What a mail is made of: what it shows, in which language, and whose letterhead it bears."""
