"""A byte-pair vocabulary of the captions in CLIP's file format: `vocab.json` and `merges.txt`.

References:
    Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", arXiv 1508.07909.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer  # noqa: TID253

END_OF_WORD = "</w>"
SPECIAL = ("<|startoftext|>", "<|endoftext|>")
LENGTH = 32  # tokens of a prompt
WORD = re.compile(r"[^\W\d_]+|\d|[^\s\w]+")

Pair = tuple[str, str]


def byte_letters() -> list[str]:
    """The 256 printable letters that stand for bytes, in the order of GPT-2's and CLIP's vocabularies."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + index) for index in range(len(others))]


def count_words(captions: Iterable[str]) -> Counter[str]:
    return Counter(word for caption in captions for word in WORD.findall(caption.lower()) if word.isascii())


def _merged(symbols: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return tuple(joined)


def learn_merges(words: Counter[str], limit: int) -> list[Pair]:
    """The most frequent adjacent pair again and again, until `limit` merges or no pair occurs twice."""
    split = {word: (*word[:-1], word[-1] + END_OF_WORD) for word in words}
    pairs: Counter[Pair] = Counter()
    for word, symbols in split.items():
        for pair in pairwise(symbols):
            pairs[pair] += words[word]
    merges: list[Pair] = []
    while len(merges) < limit and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        merges.append(best)
        for word, symbols in split.items():
            after = _merged(symbols, best)
            if after == symbols:
                continue
            for pair in pairwise(symbols):
                pairs[pair] -= words[word]
            for pair in pairwise(after):
                pairs[pair] += words[word]
            split[word] = after
        del pairs[best]
    return merges


def write_tokenizer(captions: Iterable[str], folder: Path, *, merges: int = 2500) -> CLIPTokenizer:
    """Learn the vocabulary, write its files, and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    learned = learn_merges(count_words(captions), merges)
    letters = byte_letters()
    tokens = [*letters, *(letter + END_OF_WORD for letter in letters), *("".join(pair) for pair in learned), *SPECIAL]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in learned))
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "bos_token": SPECIAL[0]}
    settings |= dict.fromkeys(("eos_token", "pad_token", "unk_token"), SPECIAL[1])
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
    return CLIPTokenizer.from_pretrained(folder)
