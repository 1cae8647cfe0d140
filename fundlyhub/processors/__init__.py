"""What we do: one package per kind of processor, and in it one per processor."""
