"""The laptop's AWS: an emulator, an inbox and a console that run the very app that AWS runs."""
