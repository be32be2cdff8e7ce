"""The same work under another clock: a made-up shop, dry runs, replays."""
