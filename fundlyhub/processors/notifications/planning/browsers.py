"""What a sign-in says of itself, reduced to words of ours: a message carries no word that its cause has chosen."""

from __future__ import annotations

from ipaddress import ip_address

# The first that fits: browsers name those that they descend from, too.
_BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "SamsungBrowser/": "Samsung Internet", "Vivaldi/": "Vivaldi", "Firefox": "Firefox",
    "FxiOS/": "Firefox", "CriOS/": "Chrome", "Chrome/": "Chrome", "Safari": "Safari",
}  # fmt: skip
_SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "CrOS": "ChromeOS",
    "Mac OS X": "macOS", "Macintosh": "macOS", "Linux": "Linux",
}  # fmt: skip
_LOOKED_AT = 1_000
"""Characters of a User-Agent that are looked at."""


def browser_of(user_agent: str | None) -> str | None:
    """Browser and system, such as ``Firefox, Linux``; None if neither is known."""
    said = (user_agent or "")[:_LOOKED_AT]
    found = (next((name for sign, name in known.items() if sign in said), None) for known in (_BROWSERS, _SYSTEMS))
    return ", ".join(one for one in found if one) or None


def network_address(text: str | None) -> str | None:
    """An IP address in its usual form; None for any other text."""
    try:
        return str(ip_address((text or "").partition("%")[0]))
    except ValueError:
        return None
