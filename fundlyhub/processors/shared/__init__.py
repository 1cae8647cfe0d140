"""State and changes that several processors share: follows, visibility, money, refunds, hashes of addresses."""
