"""Who people are: conditions, traits and segments, each meaning with its two executions."""
