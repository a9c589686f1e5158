// @ts-check
/**
 * Runs bgremove as a child process of an application, such as Electron's main process:
 *
 *     const service = new ManagedService({ port: 0 });
 *     service.on('status', ({ status, url }) => console.log(status, url));
 *     await service.start();
 *     await service.stop();
 *
 * From a terminal (see USAGE below) it prints each change as a line of JSON, and ends at a line `stop`, Ctrl-C
 * or SIGTERM. BGREMOVE_TOKEN is the token, if there is one.
 *
 * @typedef {object} Options
 * @property {string} [root] the project's folder
 * @property {string} [python] the Python to run; by default that of the project's .venv
 * @property {number} [port] 0 takes a free one
 * @property {boolean} [adopt] use a bgremove that is on the port already, instead of refusing to start: only where
 *   every user of the machine is trusted, as any may pretend to be one, and would be sent the token and the photos
 * @property {string} [token] what requests have to carry; by default what BGREMOVE_TOKEN says. Without one, every
 *   user of the machine may use the service, and fetch the photos
 * @property {NodeJS.ProcessEnv} [env] the service's environment
 * @property {number} [startTimeoutMs]
 *
 * @typedef {import('./identity.mjs').Identity} Identity
 * @typedef {'stopped' | 'starting' | 'running' | 'unreachable' | 'failed'} Status
 * @typedef {{ status: Status, owned: boolean, url?: string, error?: string, reason?: string }
 *   & Partial<Identity> & import('./child.mjs').Details} State `owned`: not adopted, and so ended by stop()
 */
import { EventEmitter } from 'node:events';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Child, ServiceError, WINDOWS, within } from './child.mjs';
import { HOST, checkHealth, identify } from './identity.mjs';

export { ServiceError };

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = WINDOWS ? '.venv/Scripts/python.exe' : '.venv/bin/python';
const PORT = 6905;
const USAGE = 'usage: node managed-service.mjs run [--python FILE] [--port N] [--adopt]';
const STOPPED = 'the service was stopped while it started';
const POLL_MS = 3000;

/** Emits 'status' with a State at each change, and 'log' with each line that the service logs. */
export class ManagedService extends EventEmitter {
  /** @type {State} */
  #state = { status: 'stopped', owned: false };
  /** @type {Child | null} */
  #child = null;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  #stops = 0;

  /** @param {Options} [options] */
  constructor({ env = process.env, root = ROOT, python = join(root, PYTHON), ...options } = {}) {
    super();
    const { port = PORT, adopt = false, token = env.BGREMOVE_TOKEN, startTimeoutMs = 30_000 } = options;
    this.options = { env, root, python, port, adopt, token: token?.trim(), startTimeoutMs };
  }

  /** The same that the last 'status' event told. */
  get state() {
    return this.#state;
  }

  /** Resolves to the state once the service answers, or where it runs already. Rejects with a ServiceError. */
  start() {
    const asked = this.#stops;
    return this.#inTurn(() => this.#start(asked));
  }

  /** Resolves once the service and its processes have ended: within 6 seconds or, by force, 2 more. */
  stop() {
    // Now, not in their turn: starts that were asked for before need not run their course.
    this.#stops += 1;
    this.#child?.end().catch(() => {});
    return this.#inTurn(() => this.#stop());
  }

  /** @template T @param {() => Promise<T>} job @returns {Promise<T>} */
  #inTurn(job) {
    const result = this.#turn.then(job);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** @param {number} asked how many stops had been asked for when this start was */
  async #start(asked) {
    if (asked !== this.#stops) throw new ServiceError('stopped', STOPPED);
    if (this.#state.owned || this.#state.status === 'running') return this.#state;
    this.#leave({ status: 'starting', owned: false });
    try {
      const found = await this.#launch(asked);
      const owned = this.#child !== null;
      this.#change({ status: 'running', owned, url: `http://${HOST}:${found.port}`, ...found });
    } catch (error) {
      const stopped = this.#child?.ending;
      await this.#child?.end().catch(() => {});
      if (stopped) throw new ServiceError('stopped', STOPPED);
      this.#fail(error);
      throw error;
    }
    this.#watch(this.#child);
    return this.#state;
  }

  async #stop() {
    await this.#child?.end();
    this.#leave({ status: 'stopped', owned: false });
  }

  /** @param {number} asked @returns {Promise<Identity>} */
  async #launch(asked) {
    const { python, root, port, env, token, startTimeoutMs } = this.options;
    const args = ['-m', 'supervisor', '--host', HOST, '--port', String(port), '--exit-on-stdin-eof'];
    const secret = token && { BGREMOVE_TOKEN: token }; // never among the arguments, which others can read
    // Names for others to reach a server by would lock us out of ours, which has none but its address.
    const encoding = { PYTHONIOENCODING: 'utf-8' }; // Windows' pipes would get the user's code page
    const where = { cwd: root, env: { ...env, ...encoding, ...secret, BGREMOVE_ALLOWED_HOSTS: undefined } };
    const child = await Child.spawn(python, args, where, (line) => this.emit('log', line));
    this.#child = child;
    if (asked !== this.#stops) child.end().catch(() => {}); // a stop that found no process yet to end
    const first = await within(startTimeoutMs, Promise.race([child.ready, child.exit]));
    if (!first) {
      const message = `the service was not ready after ${startTimeoutMs / 1000} s`;
      throw new ServiceError('start_timeout', message, { stderr: child.tail });
    }
    if (!('event' in first)) {
      const failure = child.failure('before it was ready', first);
      if (!child.tail.some((line) => line.includes('cannot listen'))) throw failure;
      this.#child = null;
      return this.#adopt(failure);
    }
    const found = await identify(first.port, token);
    if (found.pid === first.pid) return found;
    throw new ServiceError('not_bgremove', `process ${found.pid} answers on port ${first.port}, not ${first.pid}`);
  }

  /** @param {ServiceError} failure why there is none of our own @returns {Promise<Identity>} */
  async #adopt(failure) {
    const { port, token, adopt } = this.options;
    try {
      if (adopt) return await identify(port, token);
      await checkHealth(port); // without the token, which whoever is there need not know
    } catch (error) {
      if (error.reason === 'no_answer') throw failure;
      throw new ServiceError('port_taken', `port ${port} is taken: ${error.message}`);
    }
    throw new ServiceError('port_taken', `port ${port} is taken: another bgremove answers there`);
  }

  /** @param {Child | null} child */
  #watch(child) {
    child?.exit.then((exit) => child.ending || this.#fail(child.failure('unexpectedly', exit)));
    const timer = setTimeout(async () => {
      const port = Number(this.#state.port);
      const answers = await checkHealth(port).then(() => true, () => false);
      if (timer !== this.#timer || child?.ending) return; // it was stopped, or failed, meanwhile
      this.#change({ ...this.#state, status: answers ? 'running' : 'unreachable' });
      timer.refresh();
    }, POLL_MS);
    this.#timer = timer.unref();
  }

  /** @param {ServiceError} error */
  #fail({ message, reason, details }) {
    this.#leave({ status: 'failed', owned: false, error: message, reason, ...details });
  }

  /** @param {State} state one without a service */
  #leave(state) {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#child = null;
    this.#change(state);
  }

  /** @param {State} state */
  #change(state) {
    const told = state.status === this.#state.status;
    this.#state = state;
    if (told) return;
    try {
      this.emit('status', state);
    } catch (error) {
      // A listener's fault is the application's to hear of, and must not stop a stop half way.
      queueMicrotask(() => { throw error; });
    }
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { python: { type: 'string' }, port: { type: 'string' }, adopt: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (positionals.join() !== 'run') throw new Error(USAGE);
  const service = new ManagedService({ ...values, port: Number(values.port ?? PORT) });
  service.on('log', (line) => process.stderr.write(`${line}\n`));
  const end = new Promise((resolve, reject) => {
    service.on('status', (state) => {
      process.stdout.write(`${JSON.stringify(state)}\n`);
      if (state.status === 'stopped') resolve(null);
      if (state.status === 'failed') reject(new Error(state.error));
    });
    const stop = () => void service.stop().catch(reject);
    process.on('SIGINT', stop).on('SIGTERM', stop);
    createInterface(process.stdin).on('line', (line) => line.trim() === 'stop' && stop());
    service.start().catch(() => {}); // told by the status
  });
  await end.finally(() => process.stdin.destroy());
  process.stderr.write('bgremove: stopped\n');
}

const script = process.argv[1]; // an application imports this module; then it is another's, or none
if (script && existsSync(script) && realpathSync(script) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    process.stderr.write(`bgremove: ${error.message}\n`);
    process.exitCode = 1;
  });
}
