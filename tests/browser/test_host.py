"""The page in a host application that manages the server through `window.bgremoveHost`."""

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
    """The page calls the host, waits, and refreshes the status or shows the error."""
    page = visit(light.url, scripts=[HOST])
    row = page.row("server")
    row.get_by_role("button", name="Stop Server").click()
    row.get_by_role("button", name="Start Server").click()
    expect(row.get_by_role("button", name="Starting...")).to_be_disabled()
    before = len(page.requested)
    page.page.evaluate("bgremoveHost.proceed()")
    expect(row.get_by_role("button", name="Stop Server")).to_be_enabled()
    assert any(url.endswith("/status") for url in page.requested[before:])
    row.get_by_role("button", name="Stop Server").click()
    page.page.evaluate("bgremoveHost.fails = true")
    row.get_by_role("button", name="Start Server").click()
    expect(row.get_by_role("button", name="Starting...")).to_be_disabled()
    page.page.evaluate("bgremoveHost.proceed()")
    expect(row).to_contain_text("Port 6905 is taken.")
    expect(row.get_by_role("button", name="Start Server")).to_be_enabled()


def test_an_unreachable_server_can_be_stopped(visit: Open, light: Service) -> None:
    """Its process still runs, so a second one could not be started."""
    page = visit(light.url, scripts=[HOST])
    row = page.row("server")
    expect(row.get_by_role("button", name="Stop Server")).to_be_enabled()
    page.page.evaluate("bgremoveHost.become('unreachable')")
    row.get_by_role("button", name="Stop Server").click()
    expect(row.get_by_role("button", name="Start Server")).to_be_enabled()


def test_a_failing_host_status_leaves_the_button_enabled(visit: Open, light: Service) -> None:
    """Otherwise 'Starting...' would remain until a reload."""
    page = visit(light.url, scripts=[HOST])
    row = page.row("server")
    row.get_by_role("button", name="Stop Server").click()
    page.page.evaluate("Object.assign(bgremoveHost, { lost: true, start: async () => {} })")
    row.get_by_role("button", name="Start Server").click()
    expect(row).to_contain_text("The application does not answer.")
    expect(row.get_by_role("button", name="Start Server")).to_be_enabled()


def test_an_initial_failure_of_the_host_status_is_shown(visit: Open, light: Service) -> None:
    """Otherwise the user would not know why there is no button."""
    page = visit(light.url, scripts=[HOST, "bgremoveHost.lost = true"])
    row = page.row("server")
    expect(row).to_contain_text("The application does not answer.")
    page.page.evaluate("bgremoveHost.become('running')")
    expect(row.get_by_role("button", name="Stop Server")).to_be_enabled()
    expect(row).not_to_contain_text("does not answer")
