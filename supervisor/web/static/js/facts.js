// What is known of a result: which model made it, on what, how long each step took; and how to get a better one.
import { capital, h, rest, sizeInWords, timeInWords } from './dom.js';

/** `modelRow` downloads the model; `again` sends a job anew. */
export class Facts {
  #job = null;

  constructor(status, modelRow, again) {
    Object.assign(this, { status, modelRow, again });
    this.made = h('p', { className: 'made' });
    this.steps = h('p', { className: 'steps' });
    this.why = h('p');
    this.act = h('button', { type: 'button', onclick: () => this.#improve() });
    this.offer = h('div', { className: 'offer', hidden: true }, this.why, this.act);
    this.node = h('div', { className: 'facts', hidden: true }, this.made, this.steps, this.offer);
    status.addEventListener('change', () => this.#showOffer());
    modelRow.operation.addEventListener('change', () => this.#showOffer());
  }

  /** Show a finished job's facts; null hides them. */
  show(job) {
    this.#job = job;
    this.node.hidden = job === null;
    this.#showOffer();
    if (!job) return;
    const { model_id: model, device, width, height, format, timings_ms: timings } = job.result;
    this.made.replaceChildren(
      h('span', {}, 'Made by ', h('b', {}, this.#isBuiltin ? `the built-in model (${model})` : model), ` on ${device}`),
      h('span', {}, `${width} × ${height} · ${format.toUpperCase()} · ${sizeInWords(job.cutout.size)}`),
    );
    this.steps.replaceChildren(...Object.entries(timings).map(([step, ms]) =>
      h('span', {}, `${capital(step)} ${timeInWords(ms)}`)));
  }

  get #isBuiltin() {
    return this.#job?.result.model_id === this.status.server?.builtin.model_id;
  }

  #showOffer() {
    const { model } = this.status;
    this.offer.hidden = !model || !this.#isBuiltin;
    if (this.offer.hidden) return;
    const name = model.model_id.split('/').at(-1); // a folder's has no owner
    const there = model.model_loaded || model.model_downloaded;
    this.why.textContent = there
      ? `${name} is here: it finds finer edges than the built-in model.`
      : `The built-in model is small and quick. ${name} finds finer edges.`;
    this.act.textContent = there ? `Try again with ${name}` : this.modelRow.busy ? 'Starting...' : `Download ${name}`;
    rest(this.act, !there && this.modelRow.busy);
  }

  #improve() {
    const { model } = this.status;
    if (model.model_loaded || model.model_downloaded) this.again(this.#job, { model: 'birefnet' });
    else this.modelRow.download.click();
  }
}
