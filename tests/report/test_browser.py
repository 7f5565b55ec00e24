"""The report in headless Chromium, as a reader opens it and prints it."""

import csv
import io
import os

import pypdf
import pytest

from chimera.stages import figures, report
from report import browser, study

SECTIONS = ("Question", "Verdict", "Gates", "Setup", "Results", "Probes", "Limits", "Deviations")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Return a report drawn and written by the stages themselves."""
    folder = tmp_path_factory.mktemp("study")
    study.write_study(folder, study.statistics())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        figures.main()
        report.main()
    return folder / "plots/report.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a page of headless Chromium."""
    if browser.executable() is None:
        reason = "chromium is not installed: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with browser.chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 400])
def test_report_loads_alone_and_fits(page, page_file, width):
    page.open(page_file, width)
    asked = [event["request"]["url"] for event in page.named("Network.requestWillBeSent")]
    outgoing = [url for url in asked if not url.startswith("data:")]
    assert outgoing == [page_file.as_uri()]
    assert not page.named("Network.loadingFailed")
    assert not page.named("Runtime.exceptionThrown")
    assert not page.named("Runtime.consoleAPICalled")
    assert not page.named("Log.entryAdded")

    assert page.evaluate("window.innerWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(
        "document.querySelectorAll('.animation').forEach(e => { e.name = ''; e.open = true })"
    )
    moving = page.evaluate("[...document.querySelectorAll('picture img')].map(i => i.currentSrc)")
    assert len(moving) == 6
    assert all(source.startswith("data:image/webp") for source in moving)
    images = page.evaluate(
        "[...document.images].map(i => { const box = i.closest('.drawing'), whole = i.clientWidth;"
        "box.focus(); return [i.naturalWidth, whole, i.clientWidth, box.clientWidth, i.alt]; })"
    )
    assert len(images) == 14 + len(moving)
    for natural, whole, touched, box, alternative in images:
        assert natural > 0
        assert whole <= box <= width  # with its legend and every panel
        # 9 pt of a picture 7.2 inches wide are 9 pixels or more at this width
        assert touched >= 7.2 * 72
        assert len(alternative) > 20
    # What sticks out of the page scrolls in its own box.
    sticking = page.evaluate(
        "[...document.querySelectorAll('main *')].filter("
        "e => !e.closest('.table, .drawing, pre') && "
        f"e.getBoundingClientRect().right > {width}).map(e => e.outerHTML.slice(0, 80))"
    )
    assert sticking == []
    size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
    assert page.evaluate(size.format("main p")) >= 16
    assert page.evaluate(size.format("td")) >= 13


def test_the_contents_stand_beside_the_text_where_there_is_room(page, page_file):
    edges = "(box => {1})(document.querySelector('{0}').getBoundingClientRect())"
    page.open(page_file, 1280)
    right = page.evaluate(edges.format("nav ol", "box.right"))
    assert 0 < right <= page.evaluate(edges.format("main", "box.left"))
    assert page.evaluate(edges.format("nav ol", "box.left")) >= 0
    page.open(page_file, 400)
    assert page.evaluate(edges.format("nav", "box.bottom")) <= page.evaluate(
        edges.format("main", "box.top")
    )


def test_a_heading_sorts_its_column_by_number_and_a_table_is_saved_as_csv(page, page_file):
    """The errors by axis: one table, by its second column, up and down, then as it was saved."""
    page.open(page_file, 1280)
    table = (
        "[...document.querySelectorAll('table')].find(t => t.tHead.innerText.startsWith('axis'))"
    )
    column = f"[...{table}.tBodies[0].rows].map(row => row.cells[1].innerText)"
    saved = page.evaluate(
        f"decodeURIComponent(document.getElementById({table}.getAttribute('aria-labelledby'))"
        ".querySelector('a.csv').href.split(',').slice(1).join(','))"
    )
    before = page.evaluate(column)
    click = f"{table}.tHead.rows[0].cells[1].querySelector('button').click()"
    page.evaluate(click)
    up = page.evaluate(column)
    page.evaluate(click)
    down = page.evaluate(column)
    numbers = [float(cell.split()[0].replace(",", "")) for cell in up]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 1
    assert down == up[::-1]
    assert sorted(up) == sorted(before)
    rows = list(csv.reader(io.StringIO(saved)))
    assert [row[1] for row in rows[1:]] == before
    assert rows[0][0] == "axis"


def test_report_prints_with_every_section(page, page_file):
    page.open(page_file, 1280)
    printed = pypdf.PdfReader(io.BytesIO(page.pdf()))
    text = "\n".join(sheet.extract_text() for sheet in printed.pages)
    for section in (*SECTIONS, "Provenance"):
        assert section in text
    assert text.count("Figure ") >= 12
    width, height = printed.pages[0].mediabox[2:]
    assert (round(width), round(height)) == (595, 842)  # A4 in points
    assert len(printed.pages) < 20
    empty = [n for n, sheet in enumerate(printed.pages) if len(sheet.extract_text()) < 40]
    assert empty == []
