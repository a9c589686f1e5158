// Viewer: compares the original and the result of the selected photo, with zoom, backdrop, copy and download.
import { Backdrop } from './backdrop.js';
import { announce, byId, h, icon, iconButton, isDisabled, keepFocus, setDisabled, setText } from './dom.js';
import { addGestures } from './gestures.js';
import { canCopy, copy, download } from './save.js';
import { Zoom } from './zoom.js';

const ARROWS_ICON = 'M9 7l-5 5 5 5M15 7l5 5-5 5';
const PLUS_ICON = 'M12 5v14M5 12h14';
const MINUS_ICON = 'M5 12h14';
const FIT_ICON = 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5';
const COPY_FEEDBACK_MS = 2000;

export class Viewer {
  #job = null;
  #urls = new Map(); // object URLs, by the blob that is displayed
  #renders = 0; // counter, to discard images that were decoded after another photo was selected

  constructor(details) {
    this.details = details;
    this.zoom = new Zoom();
    this.#buildView();
    this.#buildTools();
    byId('viewer').append(this.view, this.tools, this.note, details.node);
    this.zoom.addEventListener('change', () => this.#applyZoom());
    new ResizeObserver(() => this.zoom.setView(this.view.clientWidth, this.view.clientHeight)).observe(this.view);
    addGestures(this.view, this.slider, this.zoom, (fraction) => this.#setSplit(fraction * 100));
    this.#setSplit(50);
  }

  /** Show a job in its current state; null shows the drop zone. */
  async show(job) {
    const isNew = job !== this.#job;
    if (isNew) this.#job?.removeEventListener('change', this.#update);
    this.#job = job;
    byId('dropzone').hidden = job !== null;
    byId('viewer').hidden = job === null;
    byId('add').hidden = job === null;
    if (isNew) job?.addEventListener('change', this.#update);
    await this.#update({ isNew });
  }

  #update = async ({ isNew = false } = {}) => {
    const job = this.#job;
    this.#showStatus(job);
    const blobs = [job?.original, job?.cutout].filter(Boolean);
    if (!isNew && blobs.every((blob) => this.#urls.has(blob))) return;
    await this.#showImages(job, blobs);
  };

  #showStatus(job) {
    const done = job?.state === 'done';
    this.jobStatus.hidden = !job || done;
    this.tools.hidden = !done;
    this.copyButton.hidden = !canCopy() || job?.result?.format === 'zip';
    this.jobStatus.className = job?.state === 'failed' ? 'job-status failed' : 'job-status';
    this.jobMessage.textContent = job?.message ?? '';
    this.jobProgress.hidden = job?.ended ?? true;
    this.jobProgress.value = job?.percent ?? 0;
    this.backdrop.node.hidden = !job?.transparent;
    this.backdrop.show(job?.background ?? null);
    this.details.show(done ? job : null);
  }

  async #showImages(job, blobs) {
    const id = ++this.#renders;
    const urls = new Map(blobs.map((blob) => [blob, this.#urls.get(blob) ?? URL.createObjectURL(blob)]));
    for (const [blob, url] of this.#urls) if (!urls.has(blob)) URL.revokeObjectURL(url);
    this.#urls = urls;
    const [before, after] = await Promise.all([decode(urls.get(job?.original)), decode(urls.get(job?.cutout))]);
    if (id !== this.#renders) return;
    this.beforeSheet.replaceChildren(...[before].filter(Boolean));
    this.afterSheet.replaceChildren(...[after].filter(Boolean));
    const photo = after ?? before;
    const both = Boolean(before && after);
    if (both) cropTo(before, job.result.frame);
    this.view.classList.toggle('single', !both);
    this.before.hidden = !before;
    this.after.hidden = !after;
    keepFocus(() => { this.slider.hidden = this.divider.hidden = !both; });
    for (const tag of this.tags) tag.hidden = !both;
    setText(this.note, explain(job, before, after));
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
      oninput: () => this.#setSplit(Number(this.slider.value)) });
    this.divider = h('div', { className: 'divider' }, h('div', { className: 'knob' }, icon(ARROWS_ICON)));
    this.tags = [h('span', { className: 'tag left' }, 'Original'), h('span', { className: 'tag right' }, 'Result')];
    this.jobMessage = h('p');
    this.jobProgress = h('progress', { max: 100, 'aria-label': 'Progress of the removal' });
    this.jobStatus = h('div', { className: 'job-status' }, this.jobMessage, this.jobProgress);
    this.view = h('div', { className: 'view' },
      this.after, this.before, this.slider, this.divider, ...this.tags, this.jobStatus);
  }

  #buildTools() {
    this.scale = h('output', { 'aria-label': 'Zoom' });
    const zoom = h('div', { className: 'group', role: 'group', 'aria-label': 'Zoom' },
      iconButton('Zoom out', MINUS_ICON, () => this.zoom.stepOut()), this.scale,
      iconButton('Zoom in', PLUS_ICON, () => this.zoom.stepIn()), iconButton('Fit', FIT_ICON, () => this.zoom.fit()));
    this.copyButton = h('button', { type: 'button', onclick: () => this.#copy() }, 'Copy');
    const save = h('button', { type: 'button', className: 'primary', onclick: () => this.#download(save) }, 'Download');
    this.backdrop = new Backdrop(this.afterSheet, (background) => { this.#job.background = background; });
    this.tools = h('div', { className: 'tools', hidden: true }, this.backdrop.node, zoom,
      h('span', { className: 'push' }), h('div', { className: 'group out' }, this.copyButton, save));
    this.note = h('p', { className: 'note muted', hidden: true });
  }

  #setSplit(percent) {
    const value = Math.min(100, Math.max(0, percent));
    this.slider.value = value;
    this.slider.setAttribute('aria-valuetext', `${Math.round(value)} % original`);
    this.view.style.setProperty('--split', `${value}%`);
  }

  #applyZoom() {
    const { scale, x, y, photo } = this.zoom;
    for (const { style } of [this.beforeSheet, this.afterSheet]) {
      style.width = `${photo.width * scale}px`;
      style.height = `${photo.height * scale}px`;
      style.transform = `translate(${x}px, ${y}px)`;
    }
    this.view.classList.toggle('zoomed', this.zoom.zoomed);
    this.view.classList.toggle('pixelated', this.zoom.pixelated);
    this.scale.textContent = `${Math.round(scale * 100)} %`;
  }

  async #download(button) {
    if (isDisabled(button)) return;
    setDisabled(button, true);
    try {
      await download(this.#job);
    } catch (error) {
      setText(this.note, error.message);
      announce(error.message);
    }
    setDisabled(button, false);
  }

  async #copy() {
    let feedback = 'Copied';
    try {
      await copy(this.#job);
    } catch {
      feedback = 'Copy failed';
    }
    this.copyButton.textContent = feedback;
    setTimeout(() => { this.copyButton.textContent = 'Copy'; }, COPY_FEEDBACK_MS);
  }
}

/** Decode the image at a URL off the main thread; null without a URL, or if the browser cannot decode it. */
async function decode(url) {
  if (!url) return null;
  const image = h('img', { alt: '', decoding: 'async', draggable: false, src: url });
  return image.decode().then(() => image, () => null);
}

/**
 * Scale and shift an image so that a frame of it fills its sheet: left, top, width, height in image pixels. On a
 * canvas, the frame may reach beyond the image.
 */
function cropTo(image, [left, top, width, height]) {
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(image.style, {
    left: percent(-left, width),
    top: percent(-top, height),
    width: percent(image.naturalWidth, width),
    height: percent(image.naturalHeight, height),
  });
}

/** Return why an image is not displayed, or ''. */
function explain(job, before, after) {
  if (job?.result?.format === 'zip') return 'The two images of the result are in a zip file: download it to see them.';
  if (job?.cutout && !after) return 'This browser cannot display the result: download it to see it.';
  if (job?.original && !before) return 'This browser cannot display the format of the original.';
  return '';
}
