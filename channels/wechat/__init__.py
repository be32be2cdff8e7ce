"""WeChat: a file for each of its products, and small ones for what they share."""
