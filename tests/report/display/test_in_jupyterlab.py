"""Facts keep their form under the style sheet of JupyterLab, which styles outputs by element."""

import re
import shutil
import subprocess

import pytest

from pyfairme.report.display.facts import Amount, Facts, Fields, Finding, Findings, Grid

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LAB = """
.jp-RenderedHTMLCommon ul:not(.list-inline) { padding-left: 2em; }
:not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon td { text-align: right; }
.jp-RenderedHTMLCommon td { vertical-align: middle; padding: 0.5em; }
.jp-OutputArea-output dt { float: left; width: 20%; }
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_cells_lists_and_terms_are_ours(tmp_path):
    facts = Facts(
        "title",
        "",
        (Findings("", (Finding("a", "b", "plain"),)), Fields("", (("new clusters", "none"),)),
         Grid("", ("name", "value"), (("<script>document.title = 'run'</script>", Amount(0.5)),))),
    )  # fmt: skip
    ask = """<script>document.title = [...document.querySelectorAll("td, ul, dt")].map(one => {
      const style = getComputedStyle(one);
      return `${one.tagName} ${style.textAlign} ${style.paddingLeft} ${style.float}`;
    }).join("; ") + "; " + (document.querySelector("dt").clientWidth > 80);</script>"""
    page = tmp_path / "lab.html"
    page.write_text(
        f"<!doctype html><meta charset='utf-8'><title>none</title><style>{LAB}</style>"
        "<div class='jp-RenderedHTMLCommon jp-OutputArea-output'>"
        f"{facts._repr_html_()}</div>{ask}",
        encoding="utf-8",
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
               f"--user-data-dir={tmp_path}/profile", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert re.search(r"<title>(.*?)</title>", done.stdout)[1] == (
        "UL left 0px none; DT left 0px none; TD left 0px none; TD right 0px none; true"
    )
