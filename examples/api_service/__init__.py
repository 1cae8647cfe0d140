"""An API service of a crowdfunding platform, as small as it can be: it shows where publishing belongs."""
