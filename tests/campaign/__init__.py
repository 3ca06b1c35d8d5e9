"""Long runs, whose figures go to `summary.md` beside them (`make campaign`)."""
