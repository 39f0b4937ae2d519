"""What the site has beside docs/: pages from the top of the repository, and a style.

Links between the pages are written so that they work where the repository is browsed. On the site
all pages lie in one folder: where that makes a difference, it is made here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parents[2]

#: Pages of the site, and the files at the top that they are made of.
FROM_TOP: Final = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}

STYLE: Final = "wide.css"

_TO_TOP: Final = {f"](../{source}": f"]({page}" for page, source in FROM_TOP.items()}
_FROM_TOP_LINK: Final = re.compile(r"\]\(docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what doesn't lie in docs/."""
    sources = {page: ROOT / source for page, source in FROM_TOP.items()}
    sources[STYLE] = Path(__file__).with_name(STYLE)
    for page, source in sources.items():
        files.append(File.generated(config, page, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead links to where the site has what they lead to."""
    for link, target in _TO_TOP.items():
        markdown = markdown.replace(link, target)
    return _FROM_TOP_LINK.sub("](", markdown)
