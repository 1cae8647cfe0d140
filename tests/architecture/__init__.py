"""What the code and its pages are checked against: the layers of the package."""
