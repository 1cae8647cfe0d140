"""What comes back from outside: providers' words on messages, and readers who want no more of them."""
