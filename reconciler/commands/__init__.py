"""The commands, by what they are for; each calls what it needs when it runs, so that `--help` is quick."""
