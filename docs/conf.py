"""Settings of the site that ``make docs`` builds from these pages. Each page is also readable where it is."""

from __future__ import annotations

project = "Ploy connectors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Ploy connectors"
html_static_path: list[str] = []
html_show_sphinx = False
html_show_copyright = False
myst_heading_anchors = 4
# The names of settings and errors are shown as they are typed.
smartquotes = False
# A block of a terminal that shows a cut output is not valid in every language.
highlight_language = "none"
