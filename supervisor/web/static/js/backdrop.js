// Backdrop: the background behind a transparent result. It is shown here at once, and the service puts it into the file.
import { h, icon } from './dom.js';

const TRANSPARENT = 'transparent';
const KINDS = [
  [TRANSPARENT, 'Transparent'],
  ['white', 'White'],
  ['black', 'Black'],
  ['colour', 'Colour'],
  ['image', 'Image'],
];
const IMAGE_ICON = 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01';

/**
 * `sheet` is the element behind the result; `node` is the control that selects the backdrop; `onselect` gets it as
 * `{ kind, fields, files }`, the removal options that make it, or null for a transparent result.
 */
export class Backdrop {
  #image = null; // the File
  #imageUrl = null;

  constructor(sheet, onselect) {
    Object.assign(this, { sheet, onselect });
    this.picker = h('input', { type: 'color', className: 'visually-hidden', value: '#e8a33d', tabIndex: -1,
      'aria-hidden': 'true', oninput: () => this.#select('colour') });
    this.file = h('input', { type: 'file', hidden: true, accept: 'image/*', onchange: () => this.#loadImage() });
    this.inputs = new Map(KINDS.map(([kind, label]) => [kind, this.#createInput(kind, label)]));
    const swatches = KINDS.map(([kind, label]) => h('label', { className: 'swatch', title: label },
      this.inputs.get(kind), h('span', { className: kind }, kind === 'image' && icon(IMAGE_ICON))));
    const legend = h('legend', { className: 'visually-hidden' }, 'Background');
    this.node = h('fieldset', { className: 'backdrops' }, legend, ...swatches, this.picker, this.file);
    this.show(null);
  }

  /** Show a photo's backdrop, as `onselect` has got it. */
  show(background) {
    const kind = background?.kind ?? TRANSPARENT;
    if (kind === 'colour') this.picker.value = background.fields.background;
    if (kind === 'image') this.#setImage(background.files.background_file);
    this.inputs.get(kind).checked = true;
    this.#display(kind);
  }

  #createInput(kind, label) {
    return h('input', { type: 'radio', name: 'backdrop', value: kind, 'aria-label': label,
      onchange: () => this.#select(kind), onclick: (event) => this.#openChooser(kind, event) });
  }

  #select(kind) {
    this.#display(kind);
    if (kind === 'image' && !this.#image) return; // until one is chosen
    this.onselect(kind === TRANSPARENT ? null : { kind, ...this.#describe(kind) });
  }

  #describe(kind) {
    if (kind === 'image') return { fields: {}, files: { background_file: this.#image } };
    return { fields: { background: kind === 'colour' ? this.picker.value : kind }, files: {} };
  }

  #display(kind) {
    this.sheet.dataset.backdrop = kind;
    document.documentElement.style.setProperty('--backdrop-colour', this.picker.value);
  }

  /** Open the chooser on a click or the space key, not on arrow keys, whose click events have no position. */
  #openChooser(kind, { detail, clientX }) {
    const byArrowKey = detail === 0 && clientX <= 0;
    if (kind === 'image' && (!byArrowKey || !this.#image)) this.file.click();
    if (kind === 'colour' && !byArrowKey) this.picker.click();
  }

  #loadImage() {
    const [file] = this.file.files;
    if (!file) return;
    this.#setImage(file);
    this.#select('image');
  }

  #setImage(file) {
    if (file === this.#image) return;
    if (this.#imageUrl) URL.revokeObjectURL(this.#imageUrl);
    this.#image = file;
    this.#imageUrl = URL.createObjectURL(file);
    this.sheet.style.setProperty('--backdrop-image', `url("${this.#imageUrl}")`);
  }
}
