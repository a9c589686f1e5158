// Queue: the jobs of this page, in order of submission, with limited concurrency.
import { Job } from './job.js';

// One photo is processed while the next is uploaded. Each running job holds one of the six connections that a
// browser opens per host (HTTP/1.1), for its event stream.
const MAX_CONCURRENCY = 2;

/**
 * Emits "change" when jobs are added, removed or changed, "ended" (with `job`) when a job has ended, and
 * "serverlost" when a job waits for the server to respond again.
 */
export class Queue extends EventTarget {
  jobs = [];

  /** Add photos, given as Files or URLs. Returns their jobs. */
  add(sources, options) {
    const added = sources.map((source) => new Job(source, options));
    for (const job of added) job.addEventListener('change', () => this.#emitChange());
    this.jobs.push(...added);
    this.#startNext();
    return added;
  }

  /** Remove a job, and cancel it if it has not ended. */
  remove(job) {
    job.cancel();
    this.jobs = this.jobs.filter((other) => other !== job);
    this.#emitChange();
  }

  /** Remove all jobs that have ended. */
  clear() {
    this.jobs = this.jobs.filter((job) => !job.ended);
    this.#emitChange();
  }

  /** Submit the jobs again that wait for the server, which responds now. */
  resume() {
    for (const job of this.jobs) job.awaitsServer = false;
    this.#startNext();
  }

  /** The finished jobs whose results exist on this page only. */
  get unsaved() {
    return this.done.filter((job) => !job.saved);
  }

  get done() {
    return this.jobs.filter((job) => job.state === 'done');
  }

  #startNext() {
    const running = this.jobs.filter((job) => job.state === 'running').length;
    const waiting = this.jobs.filter((job) => job.state === 'waiting' && !job.awaitsServer);
    for (const job of waiting.slice(0, Math.max(0, MAX_CONCURRENCY - running))) this.#run(job);
    this.#emitChange();
  }

  async #run(job) {
    await job.run();
    this.dispatchEvent(job.awaitsServer ? new Event('serverlost') : Object.assign(new Event('ended'), { job }));
    this.#startNext();
  }

  #emitChange() {
    this.dispatchEvent(new Event('change'));
  }
}
