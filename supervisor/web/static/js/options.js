// Form of the removal options, generated from the service's option descriptions (GET /options).
import { get } from './api.js';
import { byId, capitalise, h } from './dom.js';

const LABELS = { auto: 'Automatic', birefnet: 'BiRefNet', builtin: 'Built-in model', png: 'PNG', webp: 'WebP', jpeg: 'JPEG' };
const HEX = /^#[0-9a-f]{6}/i;

const labelOf = (name) => LABELS[name] ?? capitalise(name.replaceAll('_', ' '));

export class OptionsForm {
  #fields = [];
  #job = null;

  /** `apply` processes the selected photo again with the current options. */
  constructor(apply) {
    this.button = h('button', { type: 'submit', hidden: true }, 'Apply to this photo');
    byId('options').append(this.button);
    byId('options').addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#job && !this.#isApplied) apply();
    });
  }

  /** Load the option descriptions and create the fields, once. */
  async load() {
    if (this.#fields.length) return;
    const descriptions = await get('options');
    if (this.#fields.length) return; // another call was faster
    this.#fields = descriptions.map((option) => new Field(option, () => this.#showSummary()));
    this.button.before(...this.#fields.map((field) => field.node));
  }

  /** Return the values that differ from their defaults, as `fields` and `files`; the service applies the defaults. */
  values() {
    const changed = { fields: {}, files: {} };
    for (const { option, value } of this.#fields) {
      if (value === null || value === option.default) continue;
      changed[option.kind === 'image' ? 'files' : 'fields'][option.name] = value;
    }
    return changed;
  }

  /** Set the selected job, to whose photo the button applies changed options; null hides the button. */
  setJob(job) {
    this.#job = job;
    this.button.hidden = job === null;
    this.button.setAttribute('aria-disabled', this.#isApplied); // `disabled` would lose the keyboard focus
  }

  get #isApplied() {
    if (!this.#job) return true;
    const [submitted, current] = [this.#job.options, this.values()].map(({ fields, files }) => ({ ...fields, ...files }));
    return Object.keys({ ...submitted, ...current }).every((name) => submitted[name] === current[name]);
  }

  #showSummary() {
    this.setJob(this.#job);
    const { fields, files } = this.values();
    const count = Object.keys(fields).length + Object.keys(files).length;
    byId('options-summary').textContent = count ? `${count} changed` : 'defaults';
  }
}

class Field {
  constructor(option, onchange) {
    this.option = option;
    const id = `option-${option.name}`;
    const help = h('p', { className: 'muted', id: `${id}-help` }, `${capitalise(option.help)}.`.replace('..', '.'));
    this.control = createControl(option, id);
    this.control.setAttribute('aria-describedby', help.id);
    const parts = h('div', { className: 'choice' }, this.control, ...this.#createExtras());
    const label = h('label', { htmlFor: id }, labelOf(option.name));
    if (option.kind === 'boolean') parts.append(label);
    this.node = h('div', { className: 'option' }, option.kind !== 'boolean' && label, parts, help);
    this.node.addEventListener('input', onchange);
  }

  /** The entered value; null if there is none. */
  get value() {
    const { kind } = this.option;
    if (kind === 'boolean') return this.control.checked;
    if (kind === 'image') return this.control.files[0] ?? null;
    const text = this.control.value.trim();
    if (text === '') return null;
    return kind === 'integer' ? Number(text) : text;
  }

  /** Create the unit of a number, or the picker of a colour. */
  #createExtras() {
    const { kind, unit, name } = this.option;
    if (unit) return [h('span', { className: 'unit' }, unit)];
    if (kind !== 'colour') return [];
    const picker = h('input', { type: 'color', 'aria-label': `Colour picker: ${labelOf(name)}` });
    picker.addEventListener('input', () => { this.control.value = picker.value; });
    this.control.addEventListener('input', () => {
      if (HEX.test(this.control.value)) picker.value = this.control.value.slice(0, 7);
    });
    return [picker];
  }
}

function createControl({ kind, choices, default: initial, minimum, maximum }, id) {
  const value = initial === null ? '' : String(initial);
  switch (kind) {
    case 'choice':
      return h('select', { id }, ...choices.map((choice) =>
        h('option', { value: choice, selected: choice === initial }, labelOf(choice))));
    case 'boolean':
      return h('input', { id, type: 'checkbox', checked: initial === true });
    case 'integer':
      return h('input', { id, type: 'number', value, min: minimum ?? '', max: maximum ?? '', step: 1 });
    case 'image':
      return h('input', { id, type: 'file', accept: 'image/*' });
    default:
      return h('input', { id, type: 'text', value, placeholder: 'none', spellcheck: false, autocomplete: 'off' });
  }
}
