"""Every query, named for what it answers; nothing else runs SQL."""
