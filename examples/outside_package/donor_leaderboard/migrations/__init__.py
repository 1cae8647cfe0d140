"""The tables of this package, all of which begin with ``leaderboard_``; and who may read them beside the workers."""

RIGHTS = {"reader": {"analytics.leaderboard_totals": "SELECT", "analytics.leaderboard_badges": "SELECT"}}
