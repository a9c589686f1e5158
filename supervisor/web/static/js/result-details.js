// Details of a result: model, device, size and timings; and the suggestion to use BiRefNet instead of the built-in model.
import { capitalise, formatBytes, formatDuration, h, setDisabled } from './dom.js';

/** `modelRow` downloads the model; `retry` submits a job's photo again with changed options. */
export class ResultDetails {
  #job = null;

  constructor(status, modelRow, retry) {
    Object.assign(this, { status, modelRow, retry });
    this.overview = h('p', { className: 'overview' });
    this.timings = h('p', { className: 'timings' });
    this.reason = h('p');
    this.button = h('button', { type: 'button', onclick: () => this.#useBetterModel() });
    this.suggestion = h('div', { className: 'suggestion', hidden: true }, this.reason, this.button);
    const facts = h('details', {}, h('summary', { className: 'muted' }, 'Details'), this.overview, this.timings);
    this.node = h('div', { className: 'result-details', hidden: true }, this.suggestion, facts);
    status.addEventListener('change', () => this.#updateSuggestion());
    modelRow.operation.addEventListener('change', () => this.#updateSuggestion());
  }

  /** Show the details of a finished job; null hides them. */
  show(job) {
    this.#job = job;
    this.node.hidden = job === null;
    this.#updateSuggestion();
    if (!job) return;
    const { model_id: model, device, width, height, format, timings_ms: timings } = job.result;
    this.overview.replaceChildren(
      h('span', {}, 'Model: ', h('b', {}, this.#isBuiltin ? `built-in (${model})` : model), ` on ${device}`),
      h('span', {}, `${width} × ${height} · ${format.toUpperCase()} · ${formatBytes(job.cutout.size)}`),
    );
    this.timings.replaceChildren(...Object.entries(timings).map(([step, ms]) =>
      h('span', {}, `${capitalise(step)} ${formatDuration(ms)}`)));
  }

  get #isBuiltin() {
    return this.#job?.result.model_id === this.status.server?.builtin.model_id;
  }

  get #isAvailable() {
    const { model } = this.status;
    return model.model_loaded || model.model_downloaded;
  }

  #updateSuggestion() {
    const { model } = this.status;
    this.suggestion.hidden = !model || !this.#isBuiltin;
    if (this.suggestion.hidden) return;
    const name = model.model_id.split('/').at(-1); // a local folder has no owner
    const available = this.#isAvailable;
    this.reason.textContent = available
      ? `${name} is available. It finds finer edges than the built-in model.`
      : `The built-in model is small and fast. ${name} finds finer edges.`;
    const download = this.modelRow.busy ? 'Starting...' : `Download ${name}`;
    this.button.textContent = available ? `Try again with ${name}` : download;
    setDisabled(this.button, !available && this.modelRow.busy);
  }

  #useBetterModel() {
    if (this.#isAvailable) this.retry(this.#job, { model: 'birefnet' });
    else this.modelRow.download.click();
  }
}
