"""What is measured, a file each: every one of them takes a stage and gives numbers."""
