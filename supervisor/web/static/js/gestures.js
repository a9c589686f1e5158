// Mouse, touch, wheel and keyboard input of the viewer: move the divider, zoom, pan.

const PAN_PX = 60;
const WHEEL_PX = 350; // wheel distance that zooms by the factor e
const WHEEL_LINE_PX = 33; // of browsers that report wheel distances in lines

/** `setSplit(fraction)` moves the divider to that fraction of the view's width. */
export function addGestures(view, slider, zoom, setSplit) {
  new PointerGestures(view, slider, zoom, setSplit);
  view.addEventListener('wheel', (event) => {
    // A pinch on a touchpad is a wheel event with Ctrl. A plain wheel scrolls the page unless the view has the focus.
    const zooms = event.ctrlKey || event.metaKey || view.contains(document.activeElement);
    if (!zoom.zoomed && (!zooms || event.deltaY > 0)) return;
    event.preventDefault();
    const box = view.getBoundingClientRect();
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_LINE_PX;
    zoom.zoomBy(Math.exp(-pixels / WHEEL_PX), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  view.addEventListener('dblclick', (event) => {
    const box = view.getBoundingClientRect();
    if (zoom.zoomed) zoom.fit();
    else zoom.zoomTo(Math.max(1, zoom.scale * 2), event.clientX - box.left, event.clientY - box.top);
  });
  slider.addEventListener('keydown', (event) => {
    const action = keyBindings(zoom)[event.shiftKey && event.key.startsWith('Arrow') ? `Shift+${event.key}` : event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}

const keyBindings = (zoom) => ({
  '+': () => zoom.stepIn(),
  '=': () => zoom.stepIn(),
  '-': () => zoom.stepOut(),
  0: () => zoom.fit(),
  1: () => zoom.zoomTo(1),
  'Shift+ArrowLeft': () => zoom.pan(PAN_PX, 0),
  'Shift+ArrowRight': () => zoom.pan(-PAN_PX, 0),
  'Shift+ArrowUp': () => zoom.pan(0, PAN_PX),
  'Shift+ArrowDown': () => zoom.pan(0, -PAN_PX),
});

/** Pointer input: one pointer moves the divider, or pans a zoomed photo; two pointers pinch-zoom. */
class PointerGestures {
  #pointers = new Map(); // positions in the view, by pointer id
  #target = null; // what one pointer moves: "divider" or "photo"

  constructor(view, slider, zoom, setSplit) {
    Object.assign(this, { view, slider, zoom, setSplit });
    view.addEventListener('pointerdown', (event) => this.#begin(event));
    view.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) view.addEventListener(end, (event) => this.#end(event));
  }

  #begin(event) {
    if (event.button !== 0) return;
    this.view.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#position(event));
    const onKnob = event.target.closest?.('.knob') !== null;
    if (this.#pointers.size === 1) this.#target = onKnob || !this.zoom.zoomed ? 'divider' : 'photo';
    this.view.classList.toggle('panning', this.#target === 'photo');
    if (this.#target === 'divider' && event.pointerType === 'mouse') this.#moveDivider(event);
    this.slider.focus({ preventScroll: true });
    event.preventDefault();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#position(event);
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, before, now);
    else if (this.#target === 'photo') this.zoom.pan(now.x - before.x, now.y - before.y);
    else this.#moveDivider(event);
    this.#pointers.set(event.pointerId, now);
  }

  #end(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#pointers.size === 0) this.view.classList.remove('panning');
    else this.#target = 'photo'; // the remaining finger of a pinch pans
  }

  #pinch(id, before, now) {
    const other = [...this.#pointers].find(([otherId]) => otherId !== id)[1];
    const distance = (point) => Math.max(20, Math.hypot(point.x - other.x, point.y - other.y));
    this.zoom.zoomBy(distance(now) / distance(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    this.zoom.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  #moveDivider(event) {
    this.setSplit(this.#position(event).x / this.view.clientWidth);
  }

  #position(event) {
    const box = this.view.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}
