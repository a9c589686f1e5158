"""The page inside an application that manages the server, told by `window.bgremoveHost`."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.visit import Visit
from tests.service import Service

Open = Callable[..., Visit]
HOST = """
window.bgremoveHost = {
  now: 'running',
  fails: false,
  lost: false,
  callbacks: [],
  async status() {
    if (this.lost) throw new Error('The application does not answer.');
    return this.now;
  },
  onStatus(callback) { this.callbacks.push(callback); },
  become(now) { this.now = now; this.callbacks.forEach((callback) => callback(now)); },
  async stop() { this.become('stopped'); },
  async start() {
    this.become('starting');
    await new Promise((done) => { this.proceed = done; });
    if (this.fails) { this.become('failed'); throw new Error('Port 6905 is taken.'); }
    this.become('running');
  },
};
"""


def test_stop_and_start(visit: Open, light: Service) -> None:
    """The application does it; the page offers it, waits, and looks at the status again or says why not."""
    page = visit(light.url, scripts=[HOST])
    row = page.row("server")
    row.get_by_role("button", name="Stop Server").click()
    row.get_by_role("button", name="Start Server").click()
    expect(row.get_by_role("button", name="Starting...")).to_be_disabled()
    asked = len(page.asked)
    page.page.evaluate("bgremoveHost.proceed()")
    expect(row.get_by_role("button", name="Stop Server")).to_be_enabled()
    assert any(url.endswith("/status") for url in page.asked[asked:])
    row.get_by_role("button", name="Stop Server").click()
    page.page.evaluate("bgremoveHost.fails = true")
    row.get_by_role("button", name="Start Server").click()
    expect(row.get_by_role("button", name="Starting...")).to_be_disabled()
    page.page.evaluate("bgremoveHost.proceed()")
    expect(row).to_contain_text("Port 6905 is taken.")
    expect(row.get_by_role("button", name="Start Server")).to_be_enabled()


def test_a_server_that_does_not_answer_can_be_stopped(visit: Open, light: Service) -> None:
    """Its process is still there: a second one could not be started beside it."""
    page = visit(light.url, scripts=[HOST])
    row = page.row("server")
    expect(row.get_by_role("button", name="Stop Server")).to_be_enabled()
    page.page.evaluate("bgremoveHost.become('unreachable')")
    row.get_by_role("button", name="Stop Server").click()
    expect(row.get_by_role("button", name="Start Server")).to_be_enabled()


def test_an_application_that_does_not_tell_the_status_leaves_a_button_to_try_again(
    visit: Open, light: Service
) -> None:
    """A row that says 'Starting...' for ever could be helped by a reload alone."""
    page = visit(light.url, scripts=[HOST])
    row = page.row("server")
    row.get_by_role("button", name="Stop Server").click()
    page.page.evaluate("Object.assign(bgremoveHost, { lost: true, start: async () => {} })")
    row.get_by_role("button", name="Start Server").click()
    expect(row).to_contain_text("The application does not answer.")
    expect(row.get_by_role("button", name="Start Server")).to_be_enabled()


def test_an_application_that_cannot_tell_the_status_at_first_is_told_of(visit: Open, light: Service) -> None:
    """Without a word the user would look for a button that is not there."""
    page = visit(light.url, scripts=[HOST, "bgremoveHost.lost = true"])
    row = page.row("server")
    expect(row).to_contain_text("The application does not answer.")
    page.page.evaluate("bgremoveHost.become('running')")
    expect(row.get_by_role("button", name="Stop Server")).to_be_enabled()
    expect(row).not_to_contain_text("does not answer")
