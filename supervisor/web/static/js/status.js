// What the service says of itself. Fetched when there is a reason to, never on a clock, but for one case:
// while the server does not answer, it is asked again until it does.
import { get } from './api.js';

const RETRY_MS = 2000;
const STATUS_TIMEOUT_MS = 15_000;
const ENVIRONMENT_TIMEOUT_MS = 150_000; // its first answer tries every import

/** Emits "change" whenever `server`, `environment` or `problem` may look different. */
export class Status extends EventTarget {
  server = null; // GET /status, null while unknown
  environment = null; // GET /env/status, null while unknown
  problem = null; // why all is not ready, in a sentence
  #turn = 0;
  #timer = 0;

  constructor() {
    super();
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.refresh(); });
  }

  /** The part about BiRefNet, or null. */
  get model() {
    return this.server?.models.background_removal ?? null;
  }

  /** Ask for both parts in parallel; resolves when both are known, or one of them failed. */
  async refresh() {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    const take = async (name, path, timeoutMs) => {
      const told = await get(path, undefined, timeoutMs);
      if (turn !== this.#turn) return;
      if (name === 'server') this.problem = null; // it answers
      this[name] = told; // shown as soon as it is there: the first look at the environment takes a while
      this.#changed();
    };
    try {
      await Promise.all([
        take('server', 'status', STATUS_TIMEOUT_MS),
        take('environment', 'env/status', ENVIRONMENT_TIMEOUT_MS),
      ]);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    }
  }

  #fail(error) {
    this.#turn += 1; // what the other half tells later would pass for a server that answers
    const unauthorized = error.status === 401;
    const next = unauthorized ? 'Refresh the status to enter it.' : 'Trying again until it does.';
    Object.assign(this, { server: null, environment: null, problem: `${error.message} ${next}` });
    if (!unauthorized) this.#timer = setTimeout(() => this.refresh(), RETRY_MS);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
