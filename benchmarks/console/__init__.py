"""What the console's pages and its open tabs cost with large tables."""
