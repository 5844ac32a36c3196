"""Where alerts are told, one small module per channel."""
