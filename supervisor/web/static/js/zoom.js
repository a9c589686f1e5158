// Where a photo lies in its view, and how large: fitted, zoomed about a point, panned. Plain geometry in CSS pixels.

const MAX_SCALE = 16; // CSS pixels for one of the photo's
const MAX_FIT = 4; // small photos are not blown up further than that to fill the view
const MARGIN_PX = 14; // around a fitted photo
const STEP = 1.25;
const PIXELS_FROM = 3; // from that scale on, the photo's pixels are shown as squares

/** Emits "change" when the photo is to be placed anew. */
export class Zoom extends EventTarget {
  view = { width: 1, height: 1 };
  photo = { width: 1, height: 1 };
  scale = 1;
  x = 0;
  y = 0;
  #fitted = true;

  /** The scale at which the whole photo is seen. */
  get fitScale() {
    const { view, photo } = this;
    const [width, height] = [view.width - 2 * MARGIN_PX, view.height - 2 * MARGIN_PX];
    return Math.min(Math.max(width, 1) / photo.width, Math.max(height, 1) / photo.height, MAX_FIT);
  }

  get zoomed() {
    return this.scale > this.fitScale * 1.001;
  }

  get showsPixels() {
    return this.scale >= PIXELS_FROM && this.zoomed;
  }

  setView(width, height) {
    this.view = { width: Math.max(1, width), height: Math.max(1, height) };
    if (this.#fitted) this.fit();
    else this.#place();
  }

  setPhoto(width, height) {
    this.photo = { width: Math.max(1, width), height: Math.max(1, height) };
    this.fit();
  }

  fit() {
    this.#fitted = true;
    this.scale = this.fitScale;
    this.#place();
  }

  /** Zoom by a factor; the point (of the view; its middle by default) stays where it is. */
  by(factor, x = this.view.width / 2, y = this.view.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.fitScale), Math.max(MAX_SCALE, this.fitScale));
    const ratio = scale / this.scale;
    this.x = x - (x - this.x) * ratio;
    this.y = y - (y - this.y) * ratio;
    this.scale = scale;
    this.#fitted = !this.zoomed;
    this.#place();
  }

  stepIn() { this.by(STEP); }

  stepOut() { this.by(1 / STEP); }

  /** Zoom to a scale about a point. */
  to(scale, x, y) { this.by(scale / this.scale, x, y); }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#place();
  }

  #place() {
    this.x = within(this.x, this.view.width, this.photo.width * this.scale);
    this.y = within(this.y, this.view.height, this.photo.height * this.scale);
    this.dispatchEvent(new Event('change'));
  }
}

/** Keep a side of the photo in the view: in the middle where it is smaller, without a gap where it is larger. */
function within(offset, view, side) {
  if (side <= view) return (view - side) / 2;
  return Math.min(0, Math.max(view - side, offset));
}
