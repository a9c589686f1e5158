// The status table's three rows: what each shows, and which button it offers when.
import { announce, byId, h, sizeInWords } from './dom.js';
import { host } from './host.js';
import { Operation } from './operation.js';
import { COLUMNS, Row } from './row.js';

const WIDE = '(min-width: 47.51em)';
const RUNS = new Set(['running', 'unreachable', 'stopping']); // one that only stands still has to be stopped first

/** Server: its address, and Stop or Start where an application around the page can do that. */
export class ServerRow {
  #hostStatus = null;
  #failure = '';
  #announced = null;

  constructor(status) {
    this.status = status;
    this.row = new Row(byId('row-server'), 'Server');
    if (!host) return;
    this.start = this.row.button('Start Server', () => this.#ask(() => host.start(), 'starting'));
    this.stop = this.row.button('Stop Server', () => this.#ask(() => host.stop(), 'stopping'));
    host.status().then((now) => this.#hear(now), (error) => this.#fail(error));
    host.onStatus((now) => {
      if (now === 'running') this.#failure = '';
      this.#hear(now);
      status.refresh();
    });
  }

  render() {
    const { server, problem } = this.status;
    this.row.tell(problem ? false : server ? true : null);
    const lines = [h('span', { className: 'address' }, location.origin)];
    if (problem) lines.push(h('p', { className: 'problem' }, problem));
    if (this.#failure) lines.push(h('p', { className: 'problem' }, this.#failure));
    this.row.info.replaceChildren(...lines);
    if (problem !== this.#announced && (problem || this.status.environment)) { // one half may answer, and one not
      announce(problem ?? 'The server answers again.');
      this.#announced = problem;
    }
    if (!host) return;
    const busy = ['starting', 'stopping'].includes(this.#hostStatus);
    const runs = RUNS.has(this.#hostStatus);
    this.row.offer(this.#hostStatus === null ? null : runs ? this.stop : this.start, busy);
  }

  #fail(error) {
    this.#failure = error.message;
    this.render();
  }

  #hear(now) {
    this.#hostStatus = now;
    this.render();
  }

  async #ask(act, meanwhile) {
    const before = this.#hostStatus;
    this.#failure = '';
    this.#hear(meanwhile);
    try {
      await act();
    } catch (error) {
      this.#failure = error.message;
    }
    try {
      this.#hear(await host.status());
    } catch (error) {
      this.#failure ||= error.message;
      this.#hear(this.#hostStatus === meanwhile ? before : this.#hostStatus); // what was told since holds
    }
    await this.status.refresh();
  }
}

/** Environment: the installed modules, the missing and broken ones named, Install Library. */
export class EnvironmentRow {
  constructor(status) {
    this.status = status;
    this.operation = new Operation('env/install', COLUMNS, () => status.refresh());
    this.row = new Row(byId('row-environment'), 'Environment', this.operation);
    this.install = this.row.button('Install Library', () => this.operation.begin('env/install'));
    this.summary = h('summary');
    this.modules = h('ul');
    this.lines = h('div');
    this.list = h('details', { className: 'modules', open: matchMedia(WIDE).matches }, this.summary, this.modules);
  }

  render() {
    const { environment, problem } = this.status;
    this.row.tell(problem ? false : environment ? environment.ready : null);
    if (problem) this.operation.clear();
    if (!environment) {
      const text = problem ? '' : 'Looking at the installed packages. The first look takes a while.';
      this.row.info.replaceChildren(h('span', { className: 'muted' }, text));
      this.row.offer(null);
      return;
    }
    if (!this.list.isConnected) this.row.info.replaceChildren(this.list, this.lines); // moved, it would lose the focus
    this.#describe(environment);
    const lacks = !environment.installed || !environment.ready || environment.modules.some((one) => one.problem);
    const busy = this.operation.running || environment.task_id !== null;
    this.install.classList.toggle('primary', !environment.ready);
    this.row.offer(lacks || busy ? this.install : null, busy);
  }

  #describe({ modules }) {
    const installed = modules.filter((one) => one.installed);
    this.summary.textContent = `${installed.length} of ${modules.length} modules installed`;
    this.modules.replaceChildren(...installed.map((one) =>
      h('li', { className: one.problem ? 'lacking' : '' }, h('b', {}, one.module), ` ${one.version ?? ''}`)));
    const missing = (required) => modules.filter((one) => !one.installed && one.required === required)
      .map((one) => one.package).join(', ');
    const line = (className, text) => h('p', { className }, text);
    this.lines.replaceChildren(...[
      missing(true) && line('problem', `Missing: ${missing(true)}`),
      missing(false) && line('note muted', `Missing, but not needed as the service is set: ${missing(false)}`),
      // One broken package breaks those that import it, in the same words.
      ...[...new Set(modules.map((one) => one.problem).filter(Boolean))].map((text) => line('problem', text)),
    ].filter(Boolean));
  }
}

/** Model: BiRefNet on disk and in memory, with the one button that comes next. */
export class ModelRow {
  #stood = ''; // where the model stood when the last action ended

  constructor(status) {
    this.status = status;
    this.operation = new Operation('remove', COLUMNS, () => status.refresh());
    this.row = new Row(byId('row-model'), 'Model', this.operation);
    const begin = (path, done) => () => this.operation.begin(path, done);
    this.download = this.row.button('Download Model', begin('remove/download'), 'primary');
    this.load = this.row.button('Load Model', begin('remove/load'), 'primary');
    const freed = ({ freed_bytes: bytes }) => (bytes ? `Unloaded: ${sizeInWords(bytes)} are free again.` : 'Unloaded.');
    this.unload = this.row.button('Unload Model', begin('remove/unload?model=birefnet', freed));
  }

  /** Whether the model is on its way to the disk or into memory. */
  get busy() {
    const { model } = this.status;
    return this.operation.running || Boolean(model?.model_downloading || model?.model_loading);
  }

  render() {
    const { model, problem } = this.status;
    const error = model?.model_error ?? model?.model_download_error;
    this.row.tell(problem ? false : model ? model.model_loaded : null, Boolean(problem || error));
    const stands = `${model?.model_loaded} ${model?.model_downloaded}`;
    // What an action ended with is no longer so, once something else has happened to the model.
    if (problem || (!this.busy && stands !== this.#stood)) this.operation.clear();
    this.#stood = stands;
    if (!model) {
      this.row.info.replaceChildren();
      this.row.offer(null);
      return;
    }
    const where = model.model_loaded || model.model_downloaded ? '' : 'Not downloaded: the built-in model does the work.';
    this.row.info.replaceChildren(
      h('span', {}, `${model.model_id} • ${model.device}`),
      ...(where ? [h('p', { className: 'note muted' }, where)] : []),
      ...(error && !this.busy && this.operation.row.hidden ? [h('p', { className: 'problem' }, error)] : []),
    );
    const next = model.model_loaded ? this.unload : model.model_downloaded ? this.load : this.download;
    this.row.offer(next, this.busy);
  }
}
