// The form of a removal's options, made from what the service declares: a new option needs no change here.
import { get } from './api.js';
import { byId, capital, h } from './dom.js';

const WORDS = { auto: 'Automatic', birefnet: 'BiRefNet', builtin: 'Built-in model', png: 'PNG', webp: 'WebP', jpeg: 'JPEG' };
const HEX = /^#[0-9a-f]{6}/i;

const inWords = (name) => WORDS[name] ?? capital(name.replaceAll('_', ' '));

export class OptionsForm {
  #fields = [];
  #job = null;

  /** `apply` is to do the photo that was last offered again, with the options as they are. */
  constructor(apply) {
    this.button = h('button', { type: 'submit', hidden: true }, 'Apply to this photo');
    byId('options').append(this.button);
    byId('options').addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#job && !this.#isApplied) apply();
    });
  }

  /** Ask the service which options there are, once. */
  async load() {
    if (this.#fields.length) return;
    const declared = await get('options');
    if (this.#fields.length) return; // asked for twice
    this.#fields = declared.map((option) => new Field(option, () => this.#summarise()));
    this.button.before(...this.#fields.map((field) => field.node));
  }

  /** What was chosen: `fields` that differ from their defaults, and `files`. The service knows the defaults. */
  values() {
    const chosen = { fields: {}, files: {} };
    for (const { option, value } of this.#fields) {
      if (value === null || value === option.default) continue;
      chosen[option.kind === 'image' ? 'files' : 'fields'][option.name] = value;
    }
    return chosen;
  }

  /** Offer to apply them to that job's photo, if they are not what it was sent with; null offers nothing. */
  offer(job) {
    this.#job = job;
    this.button.hidden = job === null;
    this.button.setAttribute('aria-disabled', this.#isApplied); // a disabled one would drop the keyboard's focus
  }

  get #isApplied() {
    if (!this.#job) return true;
    const [sent, now] = [this.#job.options, this.values()].map(({ fields, files }) => ({ ...fields, ...files }));
    return Object.keys({ ...sent, ...now }).every((name) => sent[name] === now[name]);
  }

  #summarise() {
    this.offer(this.#job);
    const { fields, files } = this.values();
    const count = Object.keys(fields).length + Object.keys(files).length;
    byId('options-summary').textContent = count ? `${count} changed` : 'all as usual';
  }
}

class Field {
  constructor(option, onchange) {
    this.option = option;
    const id = `option-${option.name}`;
    const help = h('p', { className: 'muted', id: `${id}-help` }, `${capital(option.help)}.`.replace('..', '.'));
    this.control = control(option, id);
    this.control.setAttribute('aria-describedby', help.id);
    const parts = h('div', { className: 'choice' }, this.control, ...this.#beside());
    const label = h('label', { htmlFor: id }, inWords(option.name));
    if (option.kind === 'boolean') parts.append(label);
    this.node = h('div', { className: 'option' }, option.kind !== 'boolean' && label, parts, help);
    this.node.addEventListener('input', onchange);
  }

  /** The chosen value, null for none. */
  get value() {
    const { kind } = this.option;
    if (kind === 'boolean') return this.control.checked;
    if (kind === 'image') return this.control.files[0] ?? null;
    const text = this.control.value.trim();
    if (text === '') return null;
    return kind === 'integer' ? Number(text) : text;
  }

  #beside() {
    const { kind, unit, name } = this.option;
    if (unit) return [h('span', { className: 'unit' }, unit)];
    if (kind !== 'colour') return [];
    const picker = h('input', { type: 'color', 'aria-label': `Pick: ${inWords(name)}` });
    picker.addEventListener('input', () => { this.control.value = picker.value; });
    this.control.addEventListener('input', () => {
      if (HEX.test(this.control.value)) picker.value = this.control.value.slice(0, 7);
    });
    return [picker];
  }
}

function control({ kind, choices, default: usual, minimum, maximum }, id) {
  const shown = usual === null ? '' : String(usual);
  switch (kind) {
    case 'choice':
      return h('select', { id }, ...choices.map((choice) =>
        h('option', { value: choice, selected: choice === usual }, inWords(choice))));
    case 'boolean':
      return h('input', { id, type: 'checkbox', checked: usual === true });
    case 'integer':
      return h('input', { id, type: 'number', value: shown, min: minimum ?? '', max: maximum ?? '', step: 1 });
    case 'image':
      return h('input', { id, type: 'file', accept: 'image/*' });
    default:
      return h('input', { id, type: 'text', value: shown, placeholder: 'none', spellcheck: false, autocomplete: 'off' });
  }
}
