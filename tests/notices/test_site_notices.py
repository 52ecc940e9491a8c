"""What the notices say, and that a robots.txt of somebody else keeps every byte."""

import json
from html.parser import HTMLParser
from urllib.robotparser import RobotFileParser

import pytest

from cloak.crawlers import CRAWLERS
from cloak.errors import OutputError, UsageError
from cloak.notices import BEGIN, END, contradicted_by, merge_robots, site_notices

THEIRS = b"# mine\r\nUser-agent: *\r\nDisallow: /private/\r\nSitemap: https://example.org/map.xml"


def _rules(text: str) -> RobotFileParser:
    parser = RobotFileParser()
    parser.parse(text.splitlines())
    return parser


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.meta: dict[str, str] = {}
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "meta" and "name" in found:
            self.meta[found["name"]] = found["content"]
        if tag == "a":
            self.links.append(found["href"])


def test_every_crawler_is_listed_once_with_owner_and_source():
    agents = [crawler.agent.lower() for crawler in CRAWLERS]
    assert len(agents) == len(set(agents)) > 40
    assert all(crawler.owner and crawler.source.startswith("https://") for crawler in CRAWLERS)


@pytest.mark.parametrize("agent", [crawler.agent for crawler in CRAWLERS])
def test_robots_shuts_out_the_crawlers_and_nobody_else(agent):
    rules = _rules(site_notices()["robots.txt"])
    assert not rules.can_fetch(agent, "https://example.org/a.png")
    assert rules.can_fetch("Googlebot", "https://example.org/a.png")


def test_robots_names_every_source():
    robots = site_notices()["robots.txt"]
    assert all(f"#   {crawler.source}\n" in robots for crawler in CRAWLERS)


def test_robots_of_somebody_else_keeps_its_bytes_and_gets_ours_once():
    merged = merge_robots(THEIRS)
    assert merged.startswith(THEIRS)
    assert merged.count(b"\n") == merged.count(b"\r\n")
    assert merge_robots(merged) == merged
    rules = _rules(merged.decode())
    assert not rules.can_fetch("GPTBot", "/a.png")
    assert not rules.can_fetch("Googlebot", "/private/")
    assert rules.can_fetch("Googlebot", "/a.png")


def test_outdated_lines_of_ours_are_replaced_in_place():
    before = f"# one\n{BEGIN}\nUser-agent: Old\nDisallow: /\n{END}\n# two \xff\n".encode("latin-1")
    merged = merge_robots(before)
    assert merged.startswith(b"# one\n")
    assert merged.endswith(b"\n# two \xff\n")
    assert b"User-agent: Old" not in merged
    assert merge_robots(merged) == merged


@pytest.mark.parametrize("left", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}"])
def test_half_a_marker_is_refused(left):
    with pytest.raises(OutputError, match="only a part"):
        merge_robots(f"{left}\nUser-agent: *\nDisallow: /private/\n".encode())


def test_rules_of_somebody_else_for_our_crawlers_are_named():
    theirs = b"\xef\xbb\xbfUser-agent: gptbot # mine\nAllow: /\n user-agent:CCBot\nAllow: /\n# User-agent: Bytespider\n"
    assert contradicted_by(theirs) == ["GPTBot", "CCBot"]
    assert contradicted_by(merge_robots(b"")) == []


@pytest.mark.parametrize(
    ("site", "policy"), [("", None), ("https://example.org/shop?a", "https://example.org/no-ai.html")]
)
def test_the_reservation_names_the_page_where_the_site_is_known(site, policy):
    notices = site_notices(site)
    (rule,) = json.loads(notices[".well-known/tdmrep.json"])
    assert (rule["location"], rule["tdm-reservation"], rule.get("tdm-policy")) == ("/", 1, policy)
    for name in ("meta-tags.html", "no-ai.html"):
        meta = _Tags(notices[name]).meta
        assert (meta["robots"], meta["tdm-reservation"], meta.get("tdm-policy")) == ("noai, noimageai", "1", policy)


def test_the_page_says_it_in_plain_words_with_sources():
    page = site_notices("https://example.org")["no-ai.html"]
    assert "<h1>Do not use my works for AI learning</h1>" in page
    assert len(_Tags(page).links) >= 5


def test_ai_txt_names_pictures():
    lines = site_notices()["ai.txt"].splitlines()
    assert lines[1] == "User-Agent: *"
    assert {"Disallow: *.png", "Disallow: *.jpg", "Disallow: /"} <= set(lines)


@pytest.mark.parametrize(
    "site",
    [
        "ftp://example.org",
        "example.org",
        "https://",
        "javascript:alert(1)",
        "https://me:secret@example.org",
        'https://exa"><script>.org',
    ],
)
def test_what_is_no_address_is_refused(site):
    with pytest.raises(UsageError, match="address of a site"):
        site_notices(site)
