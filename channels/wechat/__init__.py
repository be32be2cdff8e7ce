"""WeChat: a file for each of its products."""
