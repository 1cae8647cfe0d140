"""Messages to people, for other packages: what a package imports that adds some of its own.

docs/tutorial-outside.md builds one; ``Notice`` says what a message is, and ``add_message`` enters it.
"""

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.adding import add_message
from fundlyhub.processors.notifications.catalogue import Category, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger.matters import DAY, EVENT
from fundlyhub.processors.notifications.planning.content import Content, Followers
from fundlyhub.processors.notifications.planning.lookup import Campaign, Lookup, Missing, Unwanted
from fundlyhub.processors.notifications.rendering.template_values import Facts, Money

__all__ = [
    "DAY", "EVENT", "Campaign", "Category", "ChannelName", "Content", "Facts", "Followers", "Lookup", "Missing",
    "Money", "Notice", "Person", "Unwanted", "add_message",
]  # fmt: skip
