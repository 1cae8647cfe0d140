"""The command line: one small file per group of commands, calling into the packages below."""
