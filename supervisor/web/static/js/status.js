// Status of the service. Refreshed on events, not by a timer, except while the server does not respond.
import { get } from './api.js';

const RETRY_MS = 2000;
const STATUS_TIMEOUT_MS = 15_000;
const MODELS_TIMEOUT_MS = 60_000; // the first response waits for the SHA-256 of every ONNX file
const ENVIRONMENT_TIMEOUT_MS = 150_000; // the first response waits for the import of every package
const DOWNLOADED_STATES = new Set(['on_disk', 'loading', 'loaded']);

/** Emits "change" when `server`, `environment`, `models` or `problem` may have changed. */
export class Status extends EventTarget {
  server = null; // GET /status, null while unknown
  environment = null; // GET /env/status, null while unknown
  models = null; // GET /models, null while unknown
  includeModels = false; // whether refreshes request it: the service reads the disk for it
  problem = null; // why the status is not available, as a sentence
  #refreshes = 0; // counter, to ignore the responses of outdated refreshes
  #retryTimer = 0;

  constructor() {
    super();
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.refresh(); });
  }

  /** The section about BiRefNet, or null. */
  get model() {
    return this.server?.models.background_removal ?? null;
  }

  /** The names of the models on disk, as far as they are known. */
  get modelsOnDisk() {
    const others = (this.models ?? []).filter(({ state }) => DOWNLOADED_STATES.has(state)).map(({ name }) => name);
    return this.model?.model_downloaded ? [this.model.model_id, ...others] : others;
  }

  /** Request all parts in parallel. Resolves when all are known or one has failed. */
  async refresh() {
    clearTimeout(this.#retryTimer);
    const id = ++this.#refreshes;
    const load = async (name, path, timeoutMs) => {
      const payload = await get(path, undefined, timeoutMs);
      if (id !== this.#refreshes) return;
      if (name === 'server') this.problem = null;
      this[name] = name === 'models' ? payload.models : payload;
      this.#emitChange(); // for each part: the first environment status takes a while
    };
    try {
      await Promise.all([
        load('server', 'status', STATUS_TIMEOUT_MS),
        load('environment', 'env/status', ENVIRONMENT_TIMEOUT_MS),
        this.includeModels && load('models', 'models', MODELS_TIMEOUT_MS),
      ]);
    } catch (error) {
      if (id === this.#refreshes) this.#fail(error);
    }
  }

  #fail(error) {
    this.#refreshes += 1; // ignore the other requests' responses
    const unauthorized = error.status === 401;
    const problem = unauthorized
      ? 'An access token is required. Refresh the status to enter it.'
      : `${error.message} Retrying until it does.`;
    Object.assign(this, { server: null, environment: null, models: null, problem });
    if (!unauthorized) this.#retryTimer = setTimeout(() => this.refresh(), RETRY_MS);
    this.#emitChange();
  }

  #emitChange() {
    this.dispatchEvent(new Event('change'));
  }
}
