"""Prometheus text of several servers as one page: families together, and a label that says whose a sample is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?[ \t]+([^\s{}]+(?:[ \t]+-?\d+)?)[ \t]*")
SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_created", "_info")


def safe(text: str) -> str:
    """A text as the value of a label."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def joined(pages: Mapping[str, str]) -> str:
    """One page of the pages of several targets. Each sample gets the label ``target``; what is no sample is left out."""
    heads: dict[str, dict[str, str]] = {}
    samples: dict[str, list[str]] = {}
    for target, page in pages.items():
        kinds: dict[str, str] = {}
        for line in page.splitlines():
            words = line.split(None, 3)
            if line.startswith("#"):
                if len(words) >= 3 and words[1] in ("HELP", "TYPE"):
                    heads.setdefault(words[2], {}).setdefault(words[1], line)
                    samples.setdefault(words[2], [])
                    kinds[words[2]] = words[1]
                continue
            match = SAMPLE.fullmatch(line)
            if match is not None:
                samples.setdefault(_family(match[1], kinds), []).append(_labelled(match, target))
    lines: list[str] = []
    for family, found in samples.items():
        if found:
            lines += [head for _, head in sorted(heads.get(family, {}).items())]
            lines += found
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, known: Iterable[str]) -> str:
    """The family that a sample belongs to: its name, or that without the ending of a histogram or summary."""
    if name in known:
        return name
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in known:
            return name.removesuffix(suffix)
    return name


def _labelled(match: re.Match[str], target: str) -> str:
    labels = ",".join(filter(None, [f'target="{safe(target)}"', match[2]]))
    return f"{match[1]}{{{labels}}} {match[3]}"
