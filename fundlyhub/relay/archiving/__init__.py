"""Archives: old events out of the log into files, and back, without losing one or publishing one again."""
