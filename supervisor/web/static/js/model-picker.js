// Model picker: the models other than the default one, folded; a line per model, and notes about their licences.
import { byId, h, keepFocus } from './dom.js';
import { ModelLine } from './model-line.js';
import { COLUMNS } from './row.js';

const HEADINGS = ['Model', 'Status', 'Info', 'Actions'];

export class ModelPicker {
  #lines = new Map(); // by the models' names

  /** `row` is a row of the status table. The models are requested as soon as the picker is opened. */
  constructor(status) {
    this.status = status;
    const heading = (text) => h('th', { scope: 'col', role: 'columnheader' }, text);
    this.table = h('table', { className: 'models', role: 'table', 'aria-label': 'Other models' },
      h('thead', { className: 'visually-hidden', role: 'rowgroup' },
        h('tr', { role: 'row' }, ...HEADINGS.map(heading))));
    this.notes = h('div', { className: 'notes' });
    this.summary = h('summary', {}, 'Other models');
    this.details = h('details', { ontoggle: () => this.#load() }, this.summary, this.table, this.notes);
    this.row = h('tr', { className: 'picker', role: 'row', hidden: true },
      h('td', { colSpan: COLUMNS, role: 'cell' }, this.details));
  }

  #load() {
    if (!this.details.open) return;
    this.status.includeModels = true;
    this.status.refresh();
  }

  render() {
    const { server, models } = this.status;
    keepFocus(() => {
      this.row.hidden = server === null;
      if (models) this.#show(models.filter((model) => !model.default));
    }, () => (this.row.hidden ? byId('refresh') : this.summary));
  }

  #show(models) {
    for (const [name, { body }] of this.#lines) {
      if (models.some((model) => model.name === name)) continue;
      body.remove();
      this.#lines.delete(name);
    }
    const caveats = [...new Set(models.map((model) => model.licence_caveat).filter(Boolean))];
    for (const model of models) {
      if (!this.#lines.has(model.name)) this.#add(model);
      this.#lines.get(model.name).show(model, caveats.indexOf(model.licence_caveat) + 1);
    }
    this.notes.replaceChildren(...caveats.map((text, index) =>
      h('p', { className: 'note muted' }, `(${index + 1}) Licence: ${text}.`)));
  }

  #add(model) {
    const line = new ModelLine(model, this.status);
    this.#lines.set(model.name, line);
    this.table.append(line.body);
  }
}
