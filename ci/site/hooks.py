"""What lies at the top of the repository and is read on the site too.

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

_TO_TOP: Final = {f"](../{source}": f"]({page}" for page, source in FROM_TOP.items()}
_FROM_TOP_LINK: Final = re.compile(r"\]\(docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that don't lie in docs/."""
    for page, source in FROM_TOP.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead links to where the site has what they lead to."""
    for link, target in _TO_TOP.items():
        markdown = markdown.replace(link, target)
    return _FROM_TOP_LINK.sub("](", markdown)
