// Queue: the jobs of this page, in order of submission, with limited concurrency.
import { Job } from './job.js';
import { recall } from './task-memory.js';

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
    this.#append(added);
    return added;
  }

  /** Show the tasks again that an earlier visit of this tab has submitted; those that are gone are left out. */
  recall() {
    this.#append(recall().map((task) => Job.recall(task)));
  }

  /** Remove a job; cancel it if it has not ended, and delete its result on the server. */
  remove(job) {
    job.cancel();
    job.discard();
    this.jobs = this.jobs.filter((other) => other !== job);
    this.#emitChange();
  }

  /** Remove all jobs that have ended. */
  clear() {
    for (const job of this.jobs) if (job.ended) job.discard();
    this.jobs = this.jobs.filter((job) => !job.ended);
    this.#emitChange();
  }

  /** Go on with the jobs that wait for the server, which responds now. */
  resume() {
    for (const job of this.jobs) job.awaitsServer = false;
    this.#startNext();
  }

  /** The finished jobs whose results were not downloaded; the server keeps them until they expire. */
  get unsaved() {
    return this.done.filter((job) => !job.saved);
  }

  get done() {
    return this.jobs.filter((job) => job.state === 'done');
  }

  #append(jobs) {
    for (const job of jobs) job.addEventListener('change', () => this.#emitChange());
    this.jobs.push(...jobs);
    this.#startNext();
  }

  #startNext() {
    const running = this.jobs.filter((job) => job.state === 'running').length;
    const waiting = this.jobs.filter((job) => job.state === 'waiting' && !job.awaitsServer);
    for (const job of waiting.slice(0, Math.max(0, MAX_CONCURRENCY - running))) this.#run(job);
    this.#emitChange();
  }

  async #run(job) {
    await job.run();
    if (job.gone) this.jobs = this.jobs.filter((other) => other !== job);
    this.dispatchEvent(job.awaitsServer ? new Event('serverlost') : Object.assign(new Event('ended'), { job }));
    this.#startNext();
  }

  #emitChange() {
    this.dispatchEvent(new Event('change'));
  }
}
