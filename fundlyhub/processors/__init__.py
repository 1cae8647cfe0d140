"""What we do: one package per kind of processor."""
