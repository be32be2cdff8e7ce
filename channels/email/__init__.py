"""Mail: a provider per file, and the bytes they share (`mime`)."""
