"""Parts of messages that the robots' markdown dialects share."""

from __future__ import annotations

from watchkeeper.model import Message

from .text import clip, inert, safe_url

#: More links than this are left to the page.
MOST_LINKS = 3


def headline(message: Message, keyword: str) -> str:
    """The title behind the robot's keyword, which every message must hold to be accepted."""
    title = inert(message.title)
    return f"{keyword} {title}" if keyword and keyword not in title else title


def safe_links(message: Message) -> list[tuple[str, str]]:
    """(text, address) of the first few links that are links."""
    found = [(clip(inert(text), 60), safe_url(url)) for text, url in message.links.items()]
    return [(text, url) for text, url in found if url][:MOST_LINKS]


def markdown_links(message: Message) -> list[str]:
    return [f"[{text}]({url})" for text, url in safe_links(message)]
