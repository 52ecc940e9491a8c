"""Notices for a portfolio site: what tells crawlers and people that the works are not to be used for AI learning.

A notice stops those who heed it and documents for all others that they were told; it protects no picture by itself.

References:
    RFC 9309 (robots.txt); W3C TDM Reservation Protocol, final community group report of 10 May 2024; Spawning, ai.txt;
    DeviantArt's directives noai and noimageai (2022); Directive (EU) 2019/790, article 4(3).
"""

import html
import json
import re
from pathlib import Path

from cloak.crawlers import CRAWLERS, Crawler
from cloak.errors import OutputError, UsageError

__all__ = ["contradicted_by", "merge_robots", "notice_text", "site_notices"]

ROBOTS, POLICY = "robots.txt", "no-ai.html"
BEGIN, END = "# BEGIN artcloak: no AI training", "# END artcloak"
RFC_9309 = "https://www.rfc-editor.org/rfc/rfc9309"
TDMREP = "https://w3c.github.io/tdm-reservation-protocol/spec/"
AI_TXT = "https://spawning.ai/ai-txt"
NOAI = "https://www.deviantart.com/team/journal/UPDATE-All-Deviations-Are-OptedOut-of-AI-Datasets-934500371"
DIRECTIVE = "https://eur-lex.europa.eu/eli/dir/2019/790/oj"
AI_ACT = "https://eur-lex.europa.eu/eli/reg/2024/1689/oj"

_WORKS = (
    *("bmp", "gif", "jpeg", "jpg", "png", "svg", "tif", "tiff", "webp", "avif", "heic", "heif", "psd", "ai", "eps"),
    *("mp4", "webm", "mov", "mp3", "wav", "flac", "txt", "pdf", "html"),
)
_SOURCES = {
    "robots.txt": RFC_9309,
    "TDM Reservation Protocol": TDMREP,
    "ai.txt": AI_TXT,
    "noai and noimageai": NOAI,
    "Directive (EU) 2019/790, article 4": DIRECTIVE,
    "Regulation (EU) 2024/1689 (AI Act), article 53(1)(c)": AI_ACT,
}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Do not use my works for AI learning</title>
{tags}
<style>body {{ max-width: 40rem; margin: 2rem auto; padding: 0 1rem; font: 1.1rem/1.5 sans-serif; }}</style>
</head>
<body>
<h1>Do not use my works for AI learning</h1>
<p>The pictures and texts{where} are my works. You are welcome to look at them.</p>
<p><strong>You may not use them to train, fine-tune, test or prompt an AI model, nor put them into a data set made
for that,</strong> unless I have allowed it in writing beforehand. This holds for copies of them elsewhere too.</p>
<p>I reserve the right of text and data mining (article 4(3) of Directive (EU) 2019/790). The same is said to machines:
in robots.txt, in ai.txt, in /.well-known/tdmrep.json, in the tags of the pages and in the pictures themselves.</p>
<p>Silence is no permission, and neither is a copy that has lost these notices. To ask for permission, write to me.</p>
<h2>Sources</h2>
<ul>
{sources}
</ul>
</body>
</html>
"""


def site_notices(site: str = "") -> dict[str, str]:
    """Every notice as text, by its path within the site.

    Args:
        site: address of the site, e.g. "https://example.org"; with it the reservation names the page as its policy.

    Raises:
        UsageError: the address is not an http or https one.

    >>> sorted(site_notices())
    ['.well-known/tdmrep.json', 'ai.txt', 'meta-tags.html', 'no-ai.html', 'robots.txt']
    """
    origin = _origin(site)
    policy = f"{origin}/{POLICY}" if origin else ""
    return {
        ROBOTS: _robots(),
        "ai.txt": _ai_txt(),
        ".well-known/tdmrep.json": _reservation(policy),
        "meta-tags.html": _meta_tags(policy),
        POLICY: _page(origin, policy),
    }


def merge_robots(existing: bytes) -> bytes:
    """An existing robots.txt with our lines once, between their markers; everything else keeps its bytes.

    Raises:
        OutputError: one marker is there without the other, so that nobody knows which lines are ours.
    """
    newline = b"\r\n" if b"\r\n" in existing else b"\n"
    ours = _robots().encode().replace(b"\n", newline)
    first, last = BEGIN.encode(), END.encode()
    begins, ends = existing.count(first), existing.count(last)
    if not begins and not ends:
        gap = b"" if not existing.strip() else newline if existing.endswith(b"\n") else newline * 2
        return existing + gap + ours
    start, stop = existing.find(first), existing.find(last)
    if (begins, ends) != (1, 1) or stop < start:
        raise OutputError(
            f"robots.txt has only a part of the lines from {BEGIN!r} to {END!r}; remove what is left first."
        )
    after = existing[stop + len(last) :].removeprefix(newline)
    return existing[:start] + ours + after


def contradicted_by(robots: bytes) -> list[str]:
    """Crawlers of ours for which lines of somebody else in robots.txt have rules too: those may still let them in."""
    text = robots.decode(errors="replace").lstrip("\ufeff")
    others = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", "", text, flags=re.DOTALL)
    named = {name.strip().lower() for name in re.findall(r"(?im)^[ \t]*user-agent[ \t]*:([^#\r\n]*)", others)}
    return [crawler.agent for crawler in CRAWLERS if crawler.agent.lower() in named]


def notice_text(path: Path, name: str, site: str = "") -> bytes:
    """What shall stand in the file `path` that is the notice `name`; only robots.txt depends on what is there."""
    if name == ROBOTS and path.is_file():
        return merge_robots(path.read_bytes())
    return site_notices(site)[name].encode()


def _origin(site: str) -> str:
    if not site:
        return ""
    if found := re.match(r"(https?://[\w.-]+(:\d+)?)([/?#]|$)", site):
        return found[1]
    raise UsageError(f"{site!r} is not the address of a site; give one like https://example.org.")


def _robots() -> str:
    groups = {use: [crawler for crawler in CRAWLERS if crawler.use == use] for use in ("training", "answers")}
    return "\n".join([
        BEGIN,
        "# Do not use the works on this site for AI learning. Search engines are not addressed here.",
        "# Where these crawlers are documented:",
        *(f"#   {source}" for source in dict.fromkeys(crawler.source for crawler in CRAWLERS)),
        "# Crawlers that collect for data sets and models:",
        *_group(groups["training"]),
        "# Crawlers of AI search and of assistants. Remove these lines to be found and quoted by them:",
        *_group(groups["answers"]),
        END,
        "",
    ])  # fmt: skip


def _group(crawlers: list[Crawler]) -> list[str]:
    return [*(f"User-agent: {crawler.agent}" for crawler in crawlers), "Disallow: /"]


def _ai_txt() -> str:
    return "\n".join([
        f"# Do not use the works on this site for AI learning. {AI_TXT}",
        "User-Agent: *",
        *(f"Disallow: *.{suffix}" for suffix in _WORKS),
        "Disallow: /",
        "",
    ])  # fmt: skip


def _reservation(policy: str) -> str:
    rule = {"location": "/", "tdm-reservation": 1, **({"tdm-policy": policy} if policy else {})}
    return json.dumps([rule], indent=2) + "\n"


def _tags(policy: str) -> list[str]:
    tags = ['<meta name="robots" content="noai, noimageai">', '<meta name="tdm-reservation" content="1">']
    return [*tags, f'<meta name="tdm-policy" content="{html.escape(policy)}">'] if policy else tags


def _meta_tags(policy: str) -> str:
    headers = ["X-Robots-Tag: noai, noimageai", "tdm-reservation: 1", *([f"tdm-policy: {policy}"] if policy else [])]
    return "\n".join([
        "<!-- Put these lines into the head of every page. -->",
        *_tags(policy),
        "<!-- A picture that is fetched by itself has no page: let the server send these headers with it.",
        *(f"     {header}" for header in headers),
        "-->",
        "",
    ])  # fmt: skip


def _page(origin: str, policy: str) -> str:
    sources = [f'<li><a href="{address}">{html.escape(name)}</a></li>' for name, address in _SOURCES.items()]
    where = f" on {html.escape(origin)}" if origin else " on this site"
    return _PAGE.format(tags="\n".join(_tags(policy)), where=where, sources="\n".join(sources))
