// Line of a model in the picker: its name, state, purpose, licence and size, and the button for the next step.
import { post, remove } from './api.js';
import { formatBytes, h, isDisabled, keepFocus, setDisabled } from './dom.js';
import { Operation } from './operation.js';
import { COLUMNS } from './row.js';

const STATES = { available: 'Not downloaded', downloading: 'Downloading', on_disk: 'Downloaded', loading: 'Loading',
  loaded: 'Loaded', failed: 'Failed' };
const INDICATORS = { loaded: 'indicator ready', failed: 'indicator broken' };
const BUSY_STATES = new Set(['downloading', 'loading']);

/** Word the response of an unload. */
export const describeUnload = ({ freed_bytes: bytes }) =>
  (bytes ? `Unloaded: ${formatBytes(bytes)} of memory released.` : 'Unloaded.');

const describeDeletion = ({ freed_bytes: bytes }) => `Deleted: ${formatBytes(bytes)} of disk space released.`;

export class ModelLine {
  #model;
  #caveatNumber = 0;
  #stateAtEnd = ''; // the model's state when the last operation ended

  constructor({ name }, status) {
    this.name = name;
    this.operation = new Operation('remove', COLUMNS, () => status.refresh(), name);
    this.operation.cancel.remove(); // the line's own button cancels
    this.operation.addEventListener('change', () => this.#render());
    this.indicator = h('span');
    this.info = h('td', { className: 'info', role: 'cell' });
    this.delete = h('button', { type: 'button', className: 'quiet', 'aria-label': `Delete ${name}`, hidden: true,
      onclick: () => this.#delete() }, 'Delete');
    this.button = h('button', { type: 'button', onclick: () => { if (!isDisabled(this.button)) this.#act(); } });
    const row = h('tr', { role: 'row' },
      h('th', { scope: 'row', role: 'rowheader' }, name),
      h('td', { className: 'state', role: 'cell' }, this.indicator),
      this.info,
      h('td', { className: 'actions', role: 'cell' }, this.delete, this.button));
    this.body = h('tbody', { role: 'rowgroup' }, row, this.operation.row);
  }

  /** Show a model as listed by the service; the note `caveatNumber` is about its licence, if it is not 0. */
  show(model, caveatNumber) {
    this.#model = model;
    this.#caveatNumber = caveatNumber;
    if (model.task_id && !this.operation.running) this.operation.attach(model.task_id);
    this.#render();
  }

  get #busy() {
    return this.operation.running || BUSY_STATES.has(this.#model.state);
  }

  /** The label of the button, which is what it does. */
  get #action() {
    if (this.#busy) return this.operation.taskId ? 'Cancel' : 'Starting...';
    return { loaded: 'Unload', on_disk: 'Load', failed: 'Retry' }[this.#model.state] ?? 'Download';
  }

  #render() {
    const { state, reason, disk_bytes: diskBytes } = this.#model;
    if (!this.#busy && state !== this.#stateAtEnd) this.operation.clear(); // its outcome is no longer true
    this.#stateAtEnd = state;
    const partial = state === 'available' && diskBytes > 0;
    this.indicator.textContent = partial ? 'Partly downloaded' : STATES[state];
    this.indicator.className = INDICATORS[state] ?? 'indicator';
    const failed = reason && !this.#busy && this.operation.row.hidden;
    this.info.replaceChildren(this.#describe(), ...(failed ? [h('p', { className: 'problem' }, reason)] : []));
    const label = this.#action;
    this.button.textContent = label;
    this.button.setAttribute('aria-label', `${label} ${this.name}`);
    setDisabled(this.button, label === 'Starting...');
    keepFocus(() => {
      this.delete.hidden = this.#busy || state === 'loaded' || diskBytes === 0;
    }, () => this.button);
  }

  #describe() {
    const { purpose, licence, download_bytes: toDownload, disk_bytes: onDisk } = this.#model;
    const size = onDisk ? `${formatBytes(onDisk)} on disk` : toDownload && `${formatBytes(toDownload)} to download`;
    const terms = licence && (this.#caveatNumber ? `${licence} (${this.#caveatNumber})` : licence);
    return h('span', {}, [purpose, terms, size].filter(Boolean).join(' • '));
  }

  #act() {
    const path = `models/${this.name}`;
    switch (this.#action) {
      case 'Cancel': return this.operation.stop();
      case 'Download': return this.operation.start(() => post(`${path}/download`));
      case 'Load': return this.operation.start(() => post(`${path}/load`));
      case 'Unload': return this.operation.start(() => post(`${path}/unload`), describeUnload);
      default: return this.operation.start(() => this.#retry(path));
    }
  }

  /** Download what is missing, or load the model if nothing is. */
  async #retry(path) {
    const download = this.#model.downloadable ? await post(`${path}/download`) : {};
    return download.task_id ? download : post(`${path}/load`);
  }

  #delete() {
    const size = formatBytes(this.#model.disk_bytes);
    if (confirm(`Delete ${this.name} (${size}) from the disk?`)) {
      this.operation.start(() => remove(`models/${this.name}`), describeDeletion);
    }
  }
}
