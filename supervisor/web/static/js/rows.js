// The three rows of the status table: server, environment, model.
import { post } from './api.js';
import { announce, byId, formatBytes, h } from './dom.js';
import { host } from './host.js';
import { describeUnload } from './model-line.js';
import { Operation } from './operation.js';
import { COLUMNS, Row } from './row.js';

const WIDE = '(min-width: 47.51em)';
const STOPPABLE = new Set(['running', 'unreachable', 'stopping']); // an unreachable process still has to be stopped

/** Server row: the address, and Stop or Start if a host application can do that. */
export class ServerRow {
  #hostStatus = null;
  #hostError = '';
  #announced = null;

  constructor(status) {
    this.status = status;
    this.row = new Row(byId('row-server'), 'Server');
    if (!host) return;
    this.start = this.row.addButton('Start Server', () => this.#callHost(() => host.start(), 'starting'));
    this.stop = this.row.addButton('Stop Server', () => this.#callHost(() => host.stop(), 'stopping'));
    host.status().then((value) => this.#setHostStatus(value), (error) => this.#showHostError(error));
    host.onStatus((value) => {
      if (value === 'running') this.#hostError = '';
      this.#setHostStatus(value);
      status.refresh();
    });
  }

  render() {
    const { server, problem } = this.status;
    this.row.setReady(problem ? false : server ? true : null);
    const lines = [h('span', { className: 'address' }, location.origin)];
    if (problem) lines.push(h('p', { className: 'problem' }, problem));
    if (this.#hostError) lines.push(h('p', { className: 'problem' }, this.#hostError));
    this.row.info.replaceChildren(...lines);
    // Announced as reachable only after both status requests have succeeded.
    if (problem !== this.#announced && (problem || this.status.environment)) {
      announce(problem ?? 'The server responds again.');
      this.#announced = problem;
    }
    if (!host) return;
    const busy = ['starting', 'stopping'].includes(this.#hostStatus);
    const action = STOPPABLE.has(this.#hostStatus) ? this.stop : this.start;
    this.row.showAction(this.#hostStatus === null ? null : action, busy);
  }

  #showHostError(error) {
    this.#hostError = error.message;
    this.render();
  }

  #setHostStatus(value) {
    this.#hostStatus = value;
    this.render();
  }

  async #callHost(action, transition) {
    const before = this.#hostStatus;
    this.#hostError = '';
    this.#setHostStatus(transition);
    try {
      await action();
    } catch (error) {
      this.#hostError = error.message;
    }
    try {
      this.#setHostStatus(await host.status());
    } catch (error) {
      this.#hostError ||= error.message;
      // Keep a status that onStatus has reported since.
      this.#setHostStatus(this.#hostStatus === transition ? before : this.#hostStatus);
    }
    await this.status.refresh();
  }
}

/** Environment row: installed, missing and broken packages, and Install Library. */
export class EnvironmentRow {
  constructor(status) {
    this.status = status;
    this.operation = new Operation('env/install', COLUMNS, () => status.refresh());
    this.row = new Row(byId('row-environment'), 'Environment', this.operation);
    this.install = this.row.addButton('Install Library', () => this.operation.start(() => post('env/install')));
    this.summary = h('summary');
    this.modules = h('ul');
    this.lines = h('div');
    this.list = h('details', { className: 'modules', open: matchMedia(WIDE).matches }, this.summary, this.modules);
  }

  render() {
    const { environment, problem } = this.status;
    // What is missing is for BiRefNet: the built-in model works without it.
    const isBroken = Boolean(problem) || Boolean(environment?.modules.some((one) => one.problem));
    this.row.setReady(problem ? false : environment ? environment.ready : null, isBroken);
    if (problem) this.operation.clear();
    if (!environment) {
      const text = problem ? '' : 'Checking the installed packages. The first check takes a while.';
      this.row.info.replaceChildren(h('span', { className: 'muted' }, text));
      this.row.showAction(null);
      return;
    }
    if (!this.list.isConnected) this.row.info.replaceChildren(this.list, this.lines); // moving it would lose the focus
    this.#describe(environment);
    const needsInstall = !environment.installed || !environment.ready || environment.modules.some((one) => one.problem);
    const busy = this.operation.running || environment.task_id !== null;
    this.install.classList.toggle('primary', !environment.ready);
    this.row.showAction(needsInstall || busy ? this.install : null, busy);
  }

  #describe({ modules }) {
    const installed = modules.filter((one) => one.installed);
    this.summary.textContent = `${installed.length} of ${modules.length} modules installed`;
    this.modules.replaceChildren(...installed.map((one) =>
      h('li', { className: one.problem ? 'broken' : '' }, h('b', {}, one.module), ` ${one.version ?? ''}`)));
    const missing = (required) => modules.filter((one) => !one.installed && one.required === required)
      .map((one) => one.package).join(', ');
    const line = (className, text) => h('p', { className }, text);
    // Without duplicates: a broken package causes the same problem in all packages that import it.
    const problems = [...new Set(modules.map((one) => one.problem).filter(Boolean))];
    this.lines.replaceChildren(...[
      missing(true) && line('note', `Missing: ${missing(true)}`),
      missing(false) && line('note muted', `Missing, but not needed with the current settings: ${missing(false)}`),
      ...problems.map((text) => line('problem', text)),
    ].filter(Boolean));
  }
}

/** Model row: whether BiRefNet is downloaded and loaded, and the button for the next step. */
export class ModelRow {
  #stateAtEnd = ''; // the model's state when the last operation ended

  constructor(status) {
    this.status = status;
    this.operation = new Operation('remove', COLUMNS, () => status.refresh());
    this.row = new Row(byId('row-model'), 'Model', this.operation);
    const start = (path, describe) => () => this.operation.start(() => post(path), describe);
    this.download = this.row.addButton('Download Model', start('remove/download'), 'primary');
    this.load = this.row.addButton('Load Model', start('remove/load'), 'primary');
    this.unload = this.row.addButton('Unload Model', start('remove/unload?model=birefnet', describeUnload));
  }

  /** Whether the model is being downloaded or loaded. */
  get busy() {
    const { model } = this.status;
    return this.operation.running || Boolean(model?.model_downloading || model?.model_loading);
  }

  render() {
    const { model, problem } = this.status;
    const error = model?.model_error ?? model?.model_download_error;
    this.row.setReady(problem ? false : model ? model.model_loaded : null, Boolean(problem || error));
    const state = `${model?.model_loaded} ${model?.model_downloaded}`;
    // Hide the last operation's outcome when the model's state has changed since.
    if (problem || (!this.busy && state !== this.#stateAtEnd)) this.operation.clear();
    this.#stateAtEnd = state;
    if (!model) {
      this.row.info.replaceChildren();
      this.row.showAction(null);
      return;
    }
    const available = model.model_loaded || model.model_downloaded;
    this.row.info.replaceChildren(
      h('span', {}, `${model.model_id} • ${model.device}`),
      ...(available ? [] : [h('p', { className: 'note muted' }, 'Not downloaded: the built-in model is used.')]),
      ...(error && !this.busy && this.operation.row.hidden ? [h('p', { className: 'problem' }, error)] : []),
      ...this.#listWorkers(),
    );
    const next = model.model_loaded ? this.unload : model.model_downloaded ? this.load : this.download;
    this.row.showAction(next, this.busy);
  }
  /** One line per worker process of any model. */
  #listWorkers() {
    const live = this.status.server.workers.filter(({ pid }) => pid !== null);
    const lines = live.map(({ id, state, rss_bytes: rss, device_memory_bytes: onDevice }) => h('li', {}, [
      id, state, rss && `${formatBytes(rss)} of memory`, onDevice && `${formatBytes(onDevice)} of device memory`,
    ].filter(Boolean).join(' • ')));
    return lines.length ? [h('ul', { className: 'note muted', 'aria-label': 'Workers' }, ...lines)] : [];
  }
}
