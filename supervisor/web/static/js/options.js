// Form of the removal options, generated from the service's option descriptions (GET /options), in groups. Choosing a
// preset (GET /presets) fills in its options, which can then be changed; the preset itself is not sent.
import { get } from './api.js';
import { byId, capitalise, h } from './dom.js';
import { readStored, store } from './tab-storage.js';

const LABELS = { auto: 'Automatic', birefnet: 'Default model', builtin: 'Built-in model', png: 'PNG', webp: 'WebP', jpeg: 'JPEG', roi: 'Region of interest', max_area: 'Max pixels' };
const FIRST_GROUP = 'result'; // open from the start
const PRESET = 'preset';
const STORAGE_KEY = 'bgremove-options';
const MODEL = 'model'; // its choices are the models on disk
const HEX = /^#[0-9a-f]{6}/i;

const labelOf = (name) => LABELS[name] ?? capitalise(name.replaceAll('_', ' '));

export class OptionsForm {
  #fields = [];
  #groups = new Map();
  #models = null; // those on disk when the choices were loaded
  #presets = {};
  #preset = {}; // the options of the chosen preset
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

  /** Load the option descriptions: create the fields once, then replace the models' choices when those have changed. */
  async load(modelsOnDisk) {
    const models = modelsOnDisk.join();
    if (models === this.#models) return;
    this.#models = models;
    try {
      await (this.#fields.length ? this.#loadModels() : this.#create());
    } catch {
      this.#models = null; // retried with the next status
    }
  }

  async #loadModels() {
    const descriptions = await get('options');
    const described = descriptions.find(({ name }) => name === MODEL);
    this.#fields.find(({ option }) => option.name === MODEL)?.setChoices(described.choices);
    this.#showSummary();
  }

  async #create() {
    const [descriptions, presets] = await Promise.all([get('options'), get('presets')]);
    if (this.#fields.length) return; // another call was faster
    this.#presets = presets;
    this.#fields = descriptions.map((option) => new Field(option, () => this.#change(option)));
    for (const { option, node } of this.#fields) {
      if (!this.#groups.has(option.group)) this.#groups.set(option.group, new Group(option.group));
      this.#groups.get(option.group).node.append(node);
    }
    this.button.before(...[...this.#groups.values()].map((group) => group.node));
    this.#restore();
  }

  /** Set the fields to the values that they had before a reload of the page. */
  #restore() {
    const values = readStored(STORAGE_KEY) ?? {};
    for (const field of this.#fields) field.value = values[field.option.name] ?? field.option.default;
    this.#preset = this.#presets[values[PRESET]] ?? {};
    this.#showSummary();
  }

  /** Store the values that differ from their defaults; a file cannot be stored. */
  #store() {
    const changed = this.#fields.filter((field) => field.changed && field.option.kind !== 'image');
    store(STORAGE_KEY, Object.fromEntries(changed.map(({ option, value }) => [option.name, value])));
  }

  #change({ name }) {
    if (name === PRESET) this.#applyPreset();
    this.#store();
    this.#showSummary();
  }

  /** Fill in the chosen preset's options. Those of the previous one that are unchanged return to their defaults. */
  #applyPreset() {
    const fields = new Map(this.#fields.map((field) => [field.option.name, field]));
    for (const [name, value] of Object.entries(this.#preset)) {
      const field = fields.get(name);
      if (field?.value === value) field.value = field.option.default;
    }
    this.#preset = this.#presets[fields.get(PRESET).value] ?? {};
    for (const [name, value] of Object.entries(this.#preset)) {
      const field = fields.get(name);
      if (field) field.value = value;
    }
  }

  /** Return the values that differ from their defaults, as `fields` and `files`; the service applies the defaults. */
  values() {
    const changed = { fields: {}, files: {} };
    for (const field of this.#fields) {
      const { option, value } = field;
      if (field.changed && option.name !== PRESET) changed[option.kind === 'image' ? 'files' : 'fields'][option.name] = value;
    }
    // They exclude each other: a background image replaces the colour of a preset.
    if (changed.files.background_file && changed.fields.background === this.#preset.background) delete changed.fields.background;
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
    for (const [name, group] of this.#groups) {
      group.show(this.#fields.filter(({ option, changed }) => changed && option.group === name).length);
    }
  }
}

class Group {
  constructor(name) {
    this.count = h('span', { className: 'muted' });
    this.node = h('details', { className: 'group', open: name === FIRST_GROUP },
      h('summary', {}, capitalise(name), this.count));
  }

  /** Show how many of the group's options are changed. */
  show(count) {
    this.count.textContent = count ? `${count} changed` : '';
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

  set value(value) {
    if (this.option.kind === 'boolean') this.control.checked = value === true;
    else this.control.value = value ?? '';
    if (this.control.selectedIndex === -1) this.control.value = this.option.default ?? ''; // not among the choices
    this.control.dispatchEvent(new Event('input')); // does not bubble: for the picker of a colour
  }

  /** Replace the choices of a "choice", and keep the chosen one if it is still there. */
  setChoices(choices) {
    const { value, option } = this;
    this.control.replaceChildren(...createChoices({ ...option, choices }));
    this.value = choices.includes(value) ? value : option.default;
  }

  /** Whether the value differs from the option's default. */
  get changed() {
    return this.value !== null && this.value !== this.option.default;
  }

  /** Create the unit of a number, or the picker of a colour. */
  #createExtras() {
    const { kind, unit, name } = this.option;
    if (unit) return [h('span', { className: 'unit' }, unit)];
    if (kind !== 'colour') return [];
    const picker = h('input', { type: 'color', 'aria-label': `Colour picker: ${labelOf(name)}` });
    picker.addEventListener('input', () => { this.control.value = picker.value; });
    this.control.addEventListener('input', () => {
      const hex = toHex(this.control.value);
      if (hex) picker.value = hex;
    });
    return [picker];
  }
}

/** Return a CSS colour as #rrggbb, without its opacity; null if the text is not a colour. */
function toHex(text) {
  if (HEX.test(text)) return text.slice(0, 7);
  if (!CSS.supports('color', text)) return null;
  const context = document.createElement('canvas').getContext('2d');
  context.fillStyle = text;
  return HEX.exec(context.fillStyle)?.[0] ?? null;
}

function createChoices({ name, choices, default: initial }) {
  const label = (choice) => (name === MODEL ? LABELS[choice] ?? choice : labelOf(choice));
  return [
    ...(initial === null ? [h('option', { value: '' }, 'None')] : []),
    ...choices.map((choice) => h('option', { value: choice, selected: choice === initial }, label(choice))),
  ];
}

function createControl(option, id) {
  const { kind, default: initial, minimum, maximum } = option;
  const value = initial === null ? '' : String(initial);
  switch (kind) {
    case 'choice':
      return h('select', { id }, ...createChoices(option));
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
