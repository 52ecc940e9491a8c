"""The crawlers that are known to collect for AI, as data: whose they are, what for and where that is written.

References:
    The owners' own pages where there are any, else the list that the community keeps (`LIST`); read in November 2026.
"""

from typing import Literal, NamedTuple

__all__ = ["CRAWLERS", "Crawler", "CrawlerUse"]

CrawlerUse = Literal["training", "answers"]

LIST = "https://github.com/ai-robots-txt/ai.robots.txt"
OPENAI = "https://developers.openai.com/api/docs/bots"
ANTHROPIC = "https://support.claude.com/en/articles/8896518"
GOOGLE = "https://developers.google.com/search/docs/crawling-indexing/overview-google-crawlers"
META = "https://developers.facebook.com/docs/sharing/webmasters/web-crawlers"
AMAZON = "https://developer.amazon.com/amazonbot"
PERPLEXITY = "https://docs.perplexity.ai/guides/bots"
WEBZ = "https://webz.io/blog/web-data/what-is-the-omgili-bot-and-why-is-it-crawling-your-website/"


class Crawler(NamedTuple):
    """One user agent.

    Args:
        agent: the name that robots.txt must give.
        owner: who sends it.
        use: "training" collects for data sets and models; "answers" fetches for AI search and for a user's question.
        source: page that documents it.
    """

    agent: str
    owner: str
    use: CrawlerUse
    source: str


CRAWLERS = (
    Crawler("GPTBot", "OpenAI", "training", OPENAI),
    Crawler("ClaudeBot", "Anthropic", "training", ANTHROPIC),
    Crawler("anthropic-ai", "Anthropic (older name)", "training", LIST),
    Crawler("Claude-Web", "Anthropic (older name)", "training", LIST),
    Crawler("CCBot", "Common Crawl", "training", "https://commoncrawl.org/ccbot"),
    Crawler("Google-Extended", "Google", "training", GOOGLE),
    Crawler("Google-CloudVertexBot", "Google", "training", GOOGLE),
    Crawler("Applebot-Extended", "Apple", "training", "https://support.apple.com/en-us/119829"),
    Crawler("Meta-ExternalAgent", "Meta", "training", META),
    Crawler("FacebookBot", "Meta", "training", "https://developers.facebook.com/docs/sharing/bot/"),
    Crawler("Bytespider", "ByteDance", "training", LIST),
    Crawler("TikTokSpider", "ByteDance", "training", LIST),
    Crawler("Amazonbot", "Amazon", "training", AMAZON),
    Crawler("cohere-ai", "Cohere", "training", LIST),
    Crawler("cohere-training-data-crawler", "Cohere", "training", LIST),
    Crawler("DeepSeekBot", "DeepSeek", "training", LIST),
    Crawler("PanguBot", "Huawei", "training", LIST),
    Crawler("AI2Bot", "Allen Institute for AI", "training", "https://allenai.org/crawler"),
    Crawler("Ai2Bot-Dolma", "Allen Institute for AI", "training", "https://allenai.org/crawler"),
    Crawler("LAIONDownloader", "LAION", "training", LIST),
    Crawler("laion-huggingface-processor", "LAION", "training", LIST),
    Crawler("img2dataset", "whoever runs img2dataset", "training", "https://github.com/rom1504/img2dataset"),
    Crawler("ImagesiftBot", "ImageSift", "training", "https://imagesift.com/about"),
    Crawler("imageSpider", "unknown", "training", LIST),
    Crawler("Diffbot", "Diffbot", "training", LIST),
    Crawler("omgili", "Webz.io", "training", WEBZ),
    Crawler("Omgilibot", "Webz.io (older name)", "training", LIST),
    Crawler("Webzio-Extended", "Webz.io", "training", LIST),
    Crawler("Timpibot", "Timpi", "training", LIST),
    Crawler("FriendlyCrawler", "unknown", "training", LIST),
    Crawler("FirecrawlAgent", "Firecrawl", "training", LIST),
    Crawler("ICC-Crawler", "NICT", "training", LIST),
    Crawler("SBIntuitionsBot", "SB Intuitions", "training", "https://www.sbintuitions.co.jp/en/bot/"),
    Crawler("Cotoyogi", "ROIS", "training", "https://ds.rois.ac.jp/en_center8/en_crawler/"),
    Crawler("Kangaroo Bot", "Kangaroo LLM", "training", LIST),
    Crawler("VelenPublicWebCrawler", "Velen", "training", "https://velen.io"),
    Crawler("OAI-SearchBot", "OpenAI", "answers", OPENAI),
    Crawler("ChatGPT-User", "OpenAI", "answers", OPENAI),
    Crawler("Claude-SearchBot", "Anthropic", "answers", ANTHROPIC),
    Crawler("Claude-User", "Anthropic", "answers", ANTHROPIC),
    Crawler("PerplexityBot", "Perplexity", "answers", PERPLEXITY),
    Crawler("Perplexity-User", "Perplexity", "answers", PERPLEXITY),
    Crawler("Meta-ExternalFetcher", "Meta", "answers", META),
    Crawler("meta-webindexer", "Meta", "answers", META),
    Crawler("Amzn-SearchBot", "Amazon", "answers", AMAZON),
    Crawler("Amzn-User", "Amazon", "answers", AMAZON),
    Crawler("MistralAI-User", "Mistral", "answers", LIST),
    Crawler("DuckAssistBot", "DuckDuckGo", "answers", LIST),
    Crawler("YouBot", "You.com", "answers", "https://about.you.com/youbot/"),
)
