"""From the folder to what runs: drafts, trials, versions, and the ways from one version to another."""
