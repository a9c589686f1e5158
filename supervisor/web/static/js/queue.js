// The photos of this page: in the order they came, a few on their way at a time.
import { Job } from './job.js';

// One is worked on while the next arrives. More would wait at the server, each holding one of a browser's six
// connections for its stream.
const AT_ONCE = 2;

/**
 * Emits "change" when photos come, go or change, "ended" (with `job`) when one has ended, and "lost" when one could
 * not be finished for want of a server.
 */
export class Queue extends EventTarget {
  jobs = [];

  /** Add photos: Files, or addresses. Returns their jobs. */
  add(sources, options) {
    const added = sources.map((source) => new Job(source, options));
    for (const job of added) job.addEventListener('change', () => this.#changed());
    this.jobs.push(...added);
    this.#advance();
    return added;
  }

  /** Take a photo out, cancelled if it is still on its way. */
  drop(job) {
    job.cancel();
    this.jobs = this.jobs.filter((other) => other !== job);
    this.#changed();
  }

  /** Take every photo out that has come to its end. */
  clear() {
    this.jobs = this.jobs.filter((job) => !job.ended);
    this.#changed();
  }

  /** Send again what waits for a server: there is one. */
  resume() {
    for (const job of this.jobs) job.held = false;
    this.#advance();
  }

  /** Results that exist nowhere but on this page. */
  get unsaved() {
    return this.done.filter((job) => !job.saved);
  }

  get done() {
    return this.jobs.filter((job) => job.state === 'done');
  }

  #advance() {
    const running = this.jobs.filter((job) => job.state === 'running').length;
    const next = this.jobs.filter((job) => job.state === 'waiting' && !job.held).slice(0, Math.max(0, AT_ONCE - running));
    for (const job of next) this.#run(job);
    this.#changed();
  }

  async #run(job) {
    await job.run();
    this.dispatchEvent(job.held ? new Event('lost') : Object.assign(new Event('ended'), { job }));
    this.#advance();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
