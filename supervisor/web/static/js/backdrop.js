// Backdrop: the preview background behind a transparent result. The result itself is not changed.
import { h, icon } from './dom.js';

const KINDS = [
  ['checkerboard', 'Checkerboard'],
  ['white', 'White'],
  ['black', 'Black'],
  ['colour', 'Colour'],
  ['image', 'Image'],
];
const IMAGE_ICON = 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01';

/** `sheet` is the element behind the result; `node` is the control that selects the backdrop. */
export class Backdrop {
  #image = null; // an object URL

  constructor(sheet) {
    this.sheet = sheet;
    this.picker = h('input', { type: 'color', className: 'visually-hidden', value: '#e8a33d', tabIndex: -1,
      'aria-hidden': 'true', oninput: () => this.#applyColour() });
    this.file = h('input', { type: 'file', hidden: true, accept: 'image/*', onchange: () => this.#loadImage() });
    const swatches = KINDS.map(([kind, label]) => this.#createSwatch(kind, label));
    const legend = h('legend', { className: 'visually-hidden' }, 'Preview background');
    this.node = h('fieldset', { className: 'backdrops' }, legend, ...swatches, this.picker, this.file);
    this.#select('checkerboard');
    this.#applyColour();
  }

  #createSwatch(kind, label) {
    const input = h('input', { type: 'radio', name: 'backdrop', value: kind, checked: kind === 'checkerboard',
      'aria-label': label, onchange: () => this.#select(kind), onclick: (event) => this.#openChooser(kind, event) });
    const sample = h('span', { className: kind }, kind === 'image' && icon(IMAGE_ICON));
    return h('label', { className: 'swatch', title: label }, input, sample);
  }

  #select(kind) {
    this.sheet.dataset.backdrop = kind;
  }

  /** Open the chooser on a click or the space key, not on arrow keys, whose click events have no position. */
  #openChooser(kind, { detail, clientX }) {
    const byArrowKey = detail === 0 && clientX <= 0;
    if (kind === 'image' && (!byArrowKey || !this.#image)) this.file.click();
    if (kind === 'colour' && !byArrowKey) this.picker.click();
  }

  #applyColour() {
    document.documentElement.style.setProperty('--backdrop-colour', this.picker.value);
  }

  #loadImage() {
    const [file] = this.file.files;
    if (!file) return;
    if (this.#image) URL.revokeObjectURL(this.#image);
    this.#image = URL.createObjectURL(file);
    this.sheet.style.setProperty('--backdrop-image', `url("${this.#image}")`);
  }
}
