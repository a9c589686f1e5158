// What lies behind a cut-out while it is looked at. The result itself stays transparent.
import { h, icon } from './dom.js';

const KINDS = [
  ['checkerboard', 'Checkerboard'],
  ['white', 'White'],
  ['black', 'Black'],
  ['colour', 'A colour'],
  ['image', 'An image'],
];
const PICTURE = 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01';

/** `sheet` is the element behind the cut-out; `node` is the choice to show. */
export class Backdrop {
  #image = null; // an object URL

  constructor(sheet) {
    this.sheet = sheet;
    this.picker = h('input', { type: 'color', className: 'unseen', value: '#e8a33d', tabIndex: -1,
      'aria-hidden': 'true', oninput: () => this.#colour() });
    this.file = h('input', { type: 'file', hidden: true, accept: 'image/*', onchange: () => this.#load() });
    const swatches = KINDS.map(([kind, label]) => this.#swatch(kind, label));
    const legend = h('legend', { className: 'unseen' }, 'Background while looking');
    this.node = h('fieldset', { className: 'backdrops' }, legend, ...swatches, this.picker, this.file);
    this.#choose('checkerboard');
    this.#colour();
  }

  #swatch(kind, label) {
    const input = h('input', { type: 'radio', name: 'backdrop', value: kind, checked: kind === 'checkerboard',
      'aria-label': label, onchange: () => this.#choose(kind), onclick: (event) => this.#open(kind, event) });
    const look = h('span', { className: kind }, kind === 'image' && icon(PICTURE));
    return h('label', { className: 'swatch', title: label }, input, look);
  }

  #choose(kind) {
    this.sheet.dataset.backdrop = kind;
  }

  /** A click, or space, opens the chooser; arrow keys (which click as well, at no place) just pass by. */
  #open(kind, { detail, clientX }) {
    const meant = detail > 0 || clientX > 0;
    if (kind === 'image' && (meant || !this.#image)) this.file.click();
    if (kind === 'colour' && meant) this.picker.click();
  }

  #colour() {
    document.documentElement.style.setProperty('--backdrop-colour', this.picker.value);
  }

  #load() {
    const [file] = this.file.files;
    if (!file) return;
    if (this.#image) URL.revokeObjectURL(this.#image);
    this.#image = URL.createObjectURL(file);
    this.sheet.style.setProperty('--backdrop-image', `url("${this.#image}")`);
  }
}
