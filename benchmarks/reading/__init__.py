"""How fast feeds and searches are read from large tables, and by which plans."""
