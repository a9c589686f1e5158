// The stage: the selected photo, before and after, and what can be done with it.
import { Backdrop } from './backdrop.js';
import { byId, h, icon, iconButton, keepFocus, say } from './dom.js';
import { watchGestures } from './gestures.js';
import { canCopy, copy, download } from './save.js';
import { Zoom } from './zoom.js';

const ARROWS = 'M9 7l-5 5 5 5M15 7l5 5-5 5';
const PLUS = 'M12 5v14M5 12h14';
const MINUS = 'M5 12h14';
const FIT = 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5';
const COPIED_MS = 2000;

export class Viewer {
  #job = null;
  #pictures = new Map(); // the blobs on show: their object URLs
  #shown = 0; // counts calls of show(): a photo decoded late must not take another one's place

  constructor(facts) {
    this.model_info = facts;
    this.zoom = new Zoom();
    this.#buildView();
    this.#buildTools();
    byId('show').append(this.view, this.tools, this.note, facts.node);
    this.zoom.addEventListener('change', () => this.#place());
    new ResizeObserver(() => this.zoom.setView(this.view.clientWidth, this.view.clientHeight)).observe(this.view);
    watchGestures(this.view, this.slider, this.zoom, (part) => this.#split(part * 100));
    this.#split(50);
  }

  /** Show a job as far as it has come; null shows where to drop photos. */
  async show(job) {
    const isNew = job !== this.#job;
    if (isNew) this.#job?.removeEventListener('change', this.#update);
    this.#job = job;
    byId('drop').hidden = job !== null;
    byId('show').hidden = job === null;
    byId('add').hidden = job === null;
    if (isNew) job?.addEventListener('change', this.#update);
    await this.#update({ isNew });
  }

  #update = async ({ isNew = false } = {}) => {
    const job = this.#job;
    this.#showWaiting(job);
    const blobs = [job?.original, job?.cutout].filter(Boolean);
    if (!isNew && blobs.every((blob) => this.#pictures.has(blob))) return;
    await this.#showPictures(job, blobs);
  };

  #showWaiting(job) {
    const done = job?.state === 'done';
    this.wait.hidden = !job || done;
    this.tools.hidden = !done;
    this.copyButton.hidden = !canCopy() || job?.result?.format === 'zip';
    this.wait.className = job?.state === 'failed' ? 'wait failed' : 'wait';
    this.waitText.textContent = job?.message ?? '';
    this.waitBar.hidden = job?.ended ?? true;
    this.waitBar.value = job?.percent ?? 0;
    this.model_info.show(done ? job : null);
  }

  async #showPictures(job, blobs) {
    const turn = ++this.#shown;
    const fresh = new Map(blobs.map((blob) => [blob, this.#pictures.get(blob) ?? URL.createObjectURL(blob)]));
    for (const [blob, address] of this.#pictures) if (!fresh.has(blob)) URL.revokeObjectURL(address);
    this.#pictures = fresh;
    const [before, after] = await Promise.all([decoded(fresh.get(job?.original)), decoded(fresh.get(job?.cutout))]);
    if (turn !== this.#shown) return;
    this.beforeSheet.replaceChildren(...[before].filter(Boolean));
    this.afterSheet.replaceChildren(...[after].filter(Boolean));
    const photo = after ?? before;
    const both = Boolean(before && after);
    if (both) showPart(before, job.result.frame);
    this.view.classList.toggle('single', !both);
    this.before.hidden = !before;
    this.after.hidden = !after;
    keepFocus(() => { this.slider.hidden = this.divider.hidden = !both; });
    for (const tag of this.tags) tag.hidden = !both;
    say(this.note, noteFor(job, before, after));
    if (photo) this.zoom.setPhoto(photo.naturalWidth, photo.naturalHeight);
  }

  #buildView() {
    this.beforeSheet = h('div', { className: 'sheet' });
    this.afterSheet = h('div', { className: 'sheet' });
    this.before = h('div', { className: 'layer before' }, this.beforeSheet);
    this.after = h('div', { className: 'layer after' }, this.afterSheet);
    this.slider = h('input', { type: 'range', min: 0, max: 100, step: 1, value: 50, id: 'divider',
      'aria-label': 'Divider between the original and the result',
      title: 'Arrow keys move the divider, + and - zoom, Shift with arrows pans, 0 fits',
      oninput: () => this.#split(Number(this.slider.value)) });
    this.divider = h('div', { className: 'divider' }, h('div', { className: 'knob' }, icon(ARROWS)));
    this.tags = [h('span', { className: 'tag left' }, 'Original'), h('span', { className: 'tag right' }, 'Result')];
    this.waitText = h('p');
    this.waitBar = h('progress', { max: 100, 'aria-label': 'Progress of the removal' });
    this.wait = h('div', { className: 'wait' }, this.waitText, this.waitBar);
    this.view = h('div', { className: 'view' }, this.after, this.before, this.slider, this.divider, ...this.tags, this.wait);
  }

  #buildTools() {
    this.scale = h('output', { 'aria-label': 'Zoom' });
    const zoom = h('div', { className: 'group', role: 'group', 'aria-label': 'Zoom' },
      iconButton('Zoom out', MINUS, () => this.zoom.stepOut()), this.scale,
      iconButton('Zoom in', PLUS, () => this.zoom.stepIn()), iconButton('Fit', FIT, () => this.zoom.fit()));
    this.copyButton = h('button', { type: 'button', onclick: () => this.#copy() }, 'Copy');
    const save = h('button', { type: 'button', className: 'primary', onclick: () => download(this.#job) }, 'Download');
    this.tools = h('div', { className: 'tools', hidden: true }, new Backdrop(this.afterSheet).node, zoom,
      h('span', { className: 'push' }), h('div', { className: 'group out' }, this.copyButton, save));
    this.note = h('p', { className: 'note muted', hidden: true });
  }

  #split(percent) {
    const value = Math.min(100, Math.max(0, percent));
    this.slider.value = value;
    this.slider.setAttribute('aria-valuetext', `${Math.round(value)} % original`);
    this.view.style.setProperty('--split', `${value}%`);
  }

  #place() {
    const { scale, x, y, photo } = this.zoom;
    for (const { style } of [this.beforeSheet, this.afterSheet]) {
      style.width = `${photo.width * scale}px`;
      style.height = `${photo.height * scale}px`;
      style.transform = `translate(${x}px, ${y}px)`;
    }
    this.view.classList.toggle('zoomed', this.zoom.zoomed);
    this.view.classList.toggle('pixels', this.zoom.showsPixels);
    this.scale.textContent = `${Math.round(scale * 100)} %`;
  }

  async #copy() {
    let said = 'Copied';
    try {
      await copy(this.#job);
    } catch {
      said = 'Not allowed';
    }
    this.copyButton.textContent = said;
    setTimeout(() => { this.copyButton.textContent = 'Copy'; }, COPIED_MS);
  }
}

/** The picture at that address, decoded off the main thread; null where there is none, or none that can be shown. */
async function decoded(address) {
  if (!address) return null;
  const picture = h('img', { alt: '', decoding: 'async', draggable: false, src: address });
  return picture.decode().then(() => picture, () => null);
}

/** Let a picture show only the part of it that fills its sheet: left, top, width and height in its own pixels. */
function showPart(picture, [left, top, width, height]) {
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(picture.style, {
    left: percent(-left, width),
    top: percent(-top, height),
    width: percent(picture.naturalWidth, width),
    height: percent(picture.naturalHeight, height),
  });
}

function noteFor(job, before, after) {
  if (job?.result?.format === 'zip') return 'The cut-out and its mask are in one zip: download it to look at them.';
  if (job?.cutout && !after) return 'This browser cannot show the result: download it to look at it.';
  if (job?.original && !before) return 'This browser cannot show the original’s format.';
  return '';
}
