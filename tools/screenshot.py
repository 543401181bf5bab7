"""Take the README's screenshot of a person's access page: ``make screenshot``.

It starts the sandbox, logs in by the printed link, and opens the page of one person in Chromium.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import sync_playwright

from tests.chromium import find_chromium

PERSON = "jonas.vik"
FILE = Path(__file__).parent.parent / "docs" / "access-page.png"
_LOGIN = re.compile(r"http://127\.0\.0\.1:\d+/app/login\?key=\S+")


def take(login_link: str) -> None:
    """Write the screenshot.

    Args:
        login_link: The one-use link to the integrations page.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1120}, device_scale_factor=1)
        page.goto(login_link)
        page.get_by_role("button").click()
        integration = page.locator("a[href*='/integrations/']").first.get_attribute("href") or ""
        page.goto(urljoin(page.url, f"{integration}/accounts?q={PERSON}"))
        page.locator("tbody th a").first.click()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=FILE)
        browser.close()


def main() -> None:
    """Run the sandbox until the screenshot is taken."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("ploy-connector")), "sandbox", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as sandbox:
            try:
                assert sandbox.stdout is not None
                link = next(found[0] for line in sandbox.stdout if (found := _LOGIN.search(line)))
                take(link)
            finally:
                sandbox.terminate()


if __name__ == "__main__":
    main()
