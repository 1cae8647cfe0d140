"""What ages: partitions of claims are made and dropped, and old events move from the log to archives and back."""
