"""The command line: each module has the options, the questions and the words of the command of its name."""
