"""Bad input of every kind, through the whole engine: nothing crashes and nothing vanishes."""
