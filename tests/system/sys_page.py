"""sys_page.py HEARTH SOURCE [PICTURE] - the page in a real browser, from empty to a flame graph.

Skips, saying why, where there is no Chromium. With PICTURE a screenshot is left there.
"""
import os
import subprocess
import sys

from page import devtools
from sdk import harness

PYTHON_PROJECT = "41"
DRAWN = "document.body.dataset.state === 'drawn'"
# share of the canvas that is painted, and in how many colours
PAINTED = """(() => {
  const canvas = document.querySelector('#flame canvas');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  let opaque = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 255) continue;
    opaque++;
    seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
  }
  return [opaque / (data.length / 4), seen.size];
})()"""
CANVAS_AREA = """(() => {
  const area = document.querySelector('#flame canvas').getBoundingClientRect();
  return [area.left, area.top, area.width, area.height];
})()"""


def text(page, selector):
    return page.ask("document.querySelector(%r).textContent" % selector)


def check_waiting(page, hearth):
    page.open(hearth.url + "/")
    page.wait_for("the empty page", "document.body.dataset.state === 'empty'")
    assert "http://KEY@127.0.0.1" in text(page, "#empty-dsn"), text(page, "#empty-dsn")
    assert "profile_lifecycle" in text(page, "#empty-python")


def check_drawn(page, hearth):
    """The page that waited finds the first profiles by itself; a new one shows all projects."""
    page.wait_for("the page to notice the profiles", DRAWN)
    page.open(hearth.url + "/?project=" + PYTHON_PROJECT)
    page.wait_for("the flame graph", DRAWN + " && location.search.includes('project')")
    page.wait_for("boxes", "Number(document.getElementById('flame').dataset.boxes) > 20")
    projects = page.ask("Array.from(document.querySelectorAll('#project option'), (o) => o.value)")
    assert PYTHON_PROJECT in projects and len(projects) == 5, projects
    assert page.ask("document.title") == "project 41 · hearth"
    share, colours = page.ask(PAINTED)
    assert share > 0.2 and colours > 8, (share, colours)
    coverage = text(page, "#coverage")
    assert "4 chunks" in coverage and "Nothing was left out" in coverage, coverage
    assert page.ask("document.querySelectorAll('#profilers button').length") == 2  # everything, one
    page.wait_for("the threads", "document.querySelectorAll('#threads button').length > 10")
    chips = page.ask("document.querySelectorAll('#threads button').length") - 1  # one is for all
    assert "of %d threads," % chips in text(page, "#coverage"), text(page, "#coverage")
    assert page.ask("document.querySelectorAll('#hottest tr').length") > 5


def check_pointer_and_keys(page):
    left, top, width, height = page.ask(CANVAS_AREA)
    page.move(left + width / 4, top + 10)
    page.wait_for("the tooltip", "!document.querySelector('.tip').hidden")
    assert "self" in text(page, ".tip") and "total" in text(page, ".tip"), text(page, ".tip")
    page.click(left + width / 4, top + 50)
    page.wait_for("the zoom", "!document.getElementById('reset').disabled")
    page.ask("document.getElementById('reset').click()")
    page.wait_for("no zoom", "document.getElementById('reset').disabled")
    page.ask("document.querySelector('#flame canvas').focus()")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.press(key)
    assert "Self" in text(page, "#focus"), text(page, "#focus")
    page.wait_for("the zoom by key", "!document.getElementById('reset').disabled")
    page.press("Escape")
    page.wait_for("no zoom by key", "document.getElementById('reset').disabled")


def check_search_and_threads(page):
    page.ask("""(() => {
      const search = document.getElementById('search');
      search.value = 'socket';
      search.dispatchEvent(new Event('input'));
    })()""")
    assert "% of the time" in text(page, "#matched"), text(page, "#matched")
    assert page.ask("location.search").endswith("search=socket")
    before = int(page.ask("document.getElementById('flame').dataset.nodes"))
    page.ask("Array.from(document.querySelectorAll('#threads button')).find((b) => b.textContent.startsWith('MainThread')).click()")
    page.wait_for("one thread", DRAWN + " && Number(document.getElementById('flame').dataset.nodes) < %d" % before)
    assert "thread=" in page.ask("location.search")
    assert "of 1 thread," in text(page, "#coverage"), text(page, "#coverage")
    page.ask("history.back()")
    page.wait_for("all threads again", DRAWN + " && Number(document.getElementById('flame').dataset.nodes) === %d" % before)


def check_layout(page, source):
    with open(os.path.join(source, "tests", "system", "page", "layout.js")) as file:
        broken = page.ask(file.read())
    assert broken == "", broken


def check_problem(page, hearth):
    page.open(hearth.url + "/?project=" + PYTHON_PROJECT + "&start=yesterday")
    page.wait_for("the problem", "document.body.dataset.state === 'problem'")
    problem = text(page, "#problem")
    assert "start" in problem and "yesterday" in problem and "RFC 3339" in problem, problem


def main():
    program, source = sys.argv[1:3]
    browser = devtools.find()
    if browser is None:
        harness.skip("this machine has no Chromium")
    with harness.Hearth(program) as hearth, devtools.Page(browser) as page:
        check_waiting(page, hearth)
        subprocess.run([program, "import", "--url", hearth.url, os.path.join(source, "demo")], check=True)
        check_drawn(page, hearth)
        if len(sys.argv) > 3:
            page.picture(sys.argv[3])
        check_pointer_and_keys(page)
        check_search_and_threads(page)
        check_layout(page, source)
        complaints, page.complaints = page.complaints, []
        assert complaints == [], complaints
        check_problem(page, hearth)


if __name__ == "__main__":
    main()
