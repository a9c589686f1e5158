// What mouse, fingers and keys do to a view: move the divider, zoom, pan.

const PAN_PX = 60;
const WHEEL_PX = 350; // so much wheel zooms by the factor e

/** `split(fraction)` moves the divider to that part of the view's width. */
export function watchGestures(view, slider, zoom, split) {
  new Pointers(view, slider, zoom, split);
  view.addEventListener('wheel', (event) => {
    // Pinching comes as Ctrl. Else the page scrolls, until the person has shown that the picture is meant.
    const meant = event.ctrlKey || event.metaKey || view.contains(document.activeElement);
    if (!zoom.zoomed && (!meant || event.deltaY > 0)) return;
    event.preventDefault();
    const box = view.getBoundingClientRect();
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 33;
    zoom.by(Math.exp(-pixels / WHEEL_PX), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  view.addEventListener('dblclick', (event) => {
    const box = view.getBoundingClientRect();
    if (zoom.zoomed) zoom.fit();
    else zoom.to(Math.max(1, zoom.scale * 2), event.clientX - box.left, event.clientY - box.top);
  });
  slider.addEventListener('keydown', (event) => {
    const act = keys(zoom)[event.shiftKey && event.key.startsWith('Arrow') ? `Shift+${event.key}` : event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
}

const keys = (zoom) => ({
  '+': () => zoom.stepIn(),
  '=': () => zoom.stepIn(),
  '-': () => zoom.stepOut(),
  0: () => zoom.fit(),
  1: () => zoom.to(1),
  'Shift+ArrowLeft': () => zoom.pan(PAN_PX, 0),
  'Shift+ArrowRight': () => zoom.pan(-PAN_PX, 0),
  'Shift+ArrowUp': () => zoom.pan(0, PAN_PX),
  'Shift+ArrowDown': () => zoom.pan(0, -PAN_PX),
});

/** One pointer moves the divider, or the photo where it is zoomed; two zoom. */
class Pointers {
  #down = new Map(); // by pointer id: where it is in the view
  #moves = null; // what one pointer does: "divider" or "photo"

  constructor(view, slider, zoom, split) {
    Object.assign(this, { view, slider, zoom, split });
    view.addEventListener('pointerdown', (event) => this.#begin(event));
    view.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) view.addEventListener(end, (event) => this.#end(event));
  }

  #begin(event) {
    if (event.button !== 0) return;
    this.view.setPointerCapture(event.pointerId);
    this.#down.set(event.pointerId, this.#point(event));
    const onKnob = event.target.closest?.('.knob') !== null;
    if (this.#down.size === 1) this.#moves = onKnob || !this.zoom.zoomed ? 'divider' : 'photo';
    this.view.classList.toggle('panning', this.#moves === 'photo');
    if (this.#moves === 'divider' && event.pointerType === 'mouse') this.#divide(event);
    this.slider.focus({ preventScroll: true });
    event.preventDefault();
  }

  #move(event) {
    const before = this.#down.get(event.pointerId);
    if (!before) return;
    const now = this.#point(event);
    if (this.#down.size === 2) this.#pinch(event.pointerId, before, now);
    else if (this.#moves === 'photo') this.zoom.pan(now.x - before.x, now.y - before.y);
    else this.#divide(event);
    this.#down.set(event.pointerId, now);
  }

  #end(event) {
    this.#down.delete(event.pointerId);
    if (this.#down.size === 0) this.view.classList.remove('panning');
    else this.#moves = 'photo'; // the finger that is left of a pinch drags the photo, not the divider
  }

  #pinch(id, before, now) {
    const other = [...this.#down].find(([otherId]) => otherId !== id)[1];
    const apart = (point) => Math.max(20, Math.hypot(point.x - other.x, point.y - other.y));
    this.zoom.by(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    this.zoom.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  #divide(event) {
    this.split(this.#point(event).x / this.view.clientWidth);
  }

  #point(event) {
    const box = this.view.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}
