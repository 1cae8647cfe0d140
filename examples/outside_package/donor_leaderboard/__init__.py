"""A leaderboard of donors, as a package of its own beside FundlyHub."""
