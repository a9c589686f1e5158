// Zoom and pan geometry of the viewer, in CSS pixels: fit to view, zoom about a point, pan within bounds.

const MAX_SCALE = 16; // CSS pixels per pixel of the photo
const MAX_FIT_SCALE = 4; // limits the enlargement of small photos that are fitted to the view
const MARGIN_PX = 14; // around a fitted photo
const STEP_FACTOR = 1.25;
const PIXELATED_FROM_SCALE = 3; // above it, pixels are drawn as squares

/** Emits "change" when the photo's position or scale has changed. */
export class Zoom extends EventTarget {
  view = { width: 1, height: 1 };
  photo = { width: 1, height: 1 };
  scale = 1;
  x = 0;
  y = 0;
  #fitted = true;

  /** The scale at which the whole photo fits into the view. */
  get fitScale() {
    const { view, photo } = this;
    const [width, height] = [view.width - 2 * MARGIN_PX, view.height - 2 * MARGIN_PX];
    return Math.min(Math.max(width, 1) / photo.width, Math.max(height, 1) / photo.height, MAX_FIT_SCALE);
  }

  get zoomed() {
    return this.scale > this.fitScale * 1.001;
  }

  get pixelated() {
    return this.scale >= PIXELATED_FROM_SCALE && this.zoomed;
  }

  setView(width, height) {
    this.view = { width: Math.max(1, width), height: Math.max(1, height) };
    if (this.#fitted) this.fit();
    else this.#update();
  }

  setPhoto(width, height) {
    this.photo = { width: Math.max(1, width), height: Math.max(1, height) };
    this.fit();
  }

  fit() {
    this.#fitted = true;
    this.scale = this.fitScale;
    this.#update();
  }

  /** Zoom by a factor; the point (x, y) of the view, by default its centre, stays in place. */
  zoomBy(factor, x = this.view.width / 2, y = this.view.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.fitScale), Math.max(MAX_SCALE, this.fitScale));
    const ratio = scale / this.scale;
    this.x = x - (x - this.x) * ratio;
    this.y = y - (y - this.y) * ratio;
    this.scale = scale;
    this.#fitted = !this.zoomed;
    this.#update();
  }

  stepIn() { this.zoomBy(STEP_FACTOR); }

  stepOut() { this.zoomBy(1 / STEP_FACTOR); }

  /** Zoom to a scale about a point of the view. */
  zoomTo(scale, x, y) { this.zoomBy(scale / this.scale, x, y); }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#update();
  }

  #update() {
    this.x = clampOffset(this.x, this.view.width, this.photo.width * this.scale);
    this.y = clampOffset(this.y, this.view.height, this.photo.height * this.scale);
    this.dispatchEvent(new Event('change'));
  }
}

/** Clamp the photo's offset along one axis: centred if it is smaller than the view, else without gaps at the edges. */
function clampOffset(offset, viewSize, photoSize) {
  if (photoSize <= viewSize) return (viewSize - photoSize) / 2;
  return Math.min(0, Math.max(viewSize - photoSize, offset));
}
