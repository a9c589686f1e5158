// @ts-check
/**
 * Runs bgremove as a child process of a Node application, such as Electron's main process:
 *
 *     const service = new ManagedService({ port: 0 });
 *     service.on('status', ({ status, url }) => console.log(status, url));
 *     await service.start();
 *     await service.stop();
 *
 * As a command (see USAGE) it prints each state as a line of JSON, and ends on a line `stop`, SIGINT or SIGTERM.
 * BGREMOVE_TOKEN is the token, if any.
 *
 * @typedef {object} Options
 * @property {string} [root] the project's folder
 * @property {string} [python] the Python executable; default: of the project's .venv
 * @property {number} [port] 0 for a free port
 * @property {boolean} [adopt] use a bgremove that already listens on the port instead of failing. Any local user
 *   could impersonate one and would receive the token and the images: only if all of them are trusted
 * @property {string} [token] the bearer token of all requests; default: BGREMOVE_TOKEN. Without a token every local
 *   user can use the service and fetch the images
 * @property {NodeJS.ProcessEnv} [env] the service's environment
 * @property {number} [startTimeoutMs]
 *
 * @typedef {import('./identity.mjs').Identity} Identity
 * @typedef {'stopped' | 'starting' | 'running' | 'unreachable' | 'failed'} Status
 * @typedef {{ status: Status, owned: boolean, url?: string, error?: string, reason?: string }
 *   & Partial<Identity> & import('./service-process.mjs').Details} State `owned`: not adopted, so stop() ends it
 */
import { EventEmitter } from 'node:events';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { HOST, checkHealth, identify } from './identity.mjs';
import { ServiceError, ServiceProcess, WINDOWS, withTimeout } from './service-process.mjs';

export { ServiceError };

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = WINDOWS ? '.venv/Scripts/python.exe' : '.venv/bin/python';
const PORT = 6905;
const USAGE = 'usage: node managed-service.mjs run [--python FILE] [--port N] [--adopt]';
const STOPPED = 'the service was stopped during its start';
const POLL_MS = 3000;

/** Emits 'status' with a State at each change, and 'log' with each line of the service's log. */
export class ManagedService extends EventEmitter {
  /** @type {State} */
  #state = { status: 'stopped', owned: false };
  /** @type {ServiceProcess | null} */
  #process = null;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** The last queued operation. @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #stopCount = 0;

  /** @param {Options} [options] */
  constructor({ env = process.env, root = ROOT, python = join(root, PYTHON), ...options } = {}) {
    super();
    const { port = PORT, adopt = false, token = env.BGREMOVE_TOKEN, startTimeoutMs = 30_000 } = options;
    this.options = { env, root, python, port, adopt, token: token?.trim(), startTimeoutMs };
  }

  /** The State of the last 'status' event. */
  get state() {
    return this.#state;
  }

  /** Resolves to the State once the service answers, or if it runs already. Rejects with a ServiceError. */
  start() {
    const stopCount = this.#stopCount;
    return this.#enqueue(() => this.#start(stopCount));
  }

  /** Resolves once the service and its workers have ended: within 6 seconds or, by force, 2 more. */
  stop() {
    // Before the queue: cancels the starts that were requested earlier.
    this.#stopCount += 1;
    this.#process?.end().catch(() => {});
    return this.#enqueue(() => this.#stop());
  }

  /** Run after the operations queued before. @template T @param {() => Promise<T>} operation @returns {Promise<T>} */
  #enqueue(operation) {
    const result = this.#queue.then(operation);
    this.#queue = result.catch(() => {});
    return result;
  }

  /** @param {number} stopCount when this start was requested */
  async #start(stopCount) {
    if (stopCount !== this.#stopCount) throw new ServiceError('stopped', STOPPED);
    if (this.#state.owned || this.#state.status === 'running') return this.#state;
    this.#reset({ status: 'starting', owned: false });
    try {
      const identity = await this.#launch(stopCount);
      const owned = this.#process !== null;
      this.#setState({ status: 'running', owned, url: `http://${HOST}:${identity.port}`, ...identity });
    } catch (error) {
      const stopped = this.#process?.ending;
      await this.#process?.end().catch(() => {});
      if (stopped) throw new ServiceError('stopped', STOPPED);
      this.#fail(error);
      throw error;
    }
    this.#monitor(this.#process);
    return this.#state;
  }

  async #stop() {
    await this.#process?.end();
    this.#reset({ status: 'stopped', owned: false });
  }

  /** @param {number} stopCount @returns {Promise<Identity>} */
  async #launch(stopCount) {
    const { python, root, port, env, token, startTimeoutMs } = this.options;
    const args = ['-m', 'supervisor', '--host', HOST, '--port', String(port), '--exit-on-stdin-eof'];
    const secret = token && { BGREMOVE_TOKEN: token }; // never an argument, which all users can read
    const encoding = { PYTHONIOENCODING: 'utf-8' }; // on Windows pipes have the user's code page
    // Host names for a server on the network would deny access by its address.
    const variables = { ...env, ...encoding, ...secret, BGREMOVE_ALLOWED_HOSTS: undefined };
    const options = { cwd: root, env: variables };
    const service = await ServiceProcess.spawn(python, args, options, (line) => this.emit('log', line));
    this.#process = service;
    if (stopCount !== this.#stopCount) service.end().catch(() => {}); // stop() was called before the spawn
    const first = await withTimeout(startTimeoutMs, Promise.race([service.ready, service.exit]));
    if (!first) {
      const message = `the service was not ready after ${startTimeoutMs / 1000} s`;
      throw new ServiceError('start_timeout', message, { stderr: service.tail });
    }
    if (!('event' in first)) {
      const failure = service.exitError('before it was ready', first);
      if (!service.tail.some((line) => line.includes('cannot listen'))) throw failure;
      this.#process = null;
      return this.#adopt(failure);
    }
    const identity = await identify(first.port, token);
    if (identity.pid === first.pid) return identity;
    const message = `process ${identity.pid} answers on port ${first.port}, not ${first.pid}`;
    throw new ServiceError('not_bgremove', message);
  }

  /** @param {ServiceError} failure why the own service did not start @returns {Promise<Identity>} */
  async #adopt(failure) {
    const { port, token, adopt } = this.options;
    try {
      if (adopt) return await identify(port, token);
      await checkHealth(port); // without the token: the server there is not trusted
    } catch (error) {
      if (error.reason === 'no_answer') throw failure;
      throw new ServiceError('port_taken', `port ${port} is taken: ${error.message}`);
    }
    throw new ServiceError('port_taken', `port ${port} is taken: another bgremove answers there`);
  }

  /** Report the exit of an own service, and poll its health. @param {ServiceProcess | null} service */
  #monitor(service) {
    service?.exit.then((exit) => service.ending || this.#fail(service.exitError('unexpectedly', exit)));
    const timer = setTimeout(async () => {
      const port = Number(this.#state.port);
      const healthy = await checkHealth(port).then(() => true, () => false);
      if (timer !== this.#timer || service?.ending) return; // stopped or failed meanwhile
      this.#setState({ ...this.#state, status: healthy ? 'running' : 'unreachable' });
      timer.refresh();
    }, POLL_MS);
    this.#timer = timer.unref();
  }

  /** @param {ServiceError} error */
  #fail({ message, reason, details }) {
    this.#reset({ status: 'failed', owned: false, error: message, reason, ...details });
  }

  /** @param {State} state without a service */
  #reset(state) {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#process = null;
    this.#setState(state);
  }

  /** @param {State} state */
  #setState(state) {
    const unchanged = state.status === this.#state.status;
    this.#state = state;
    if (unchanged) return;
    try {
      this.emit('status', state);
    } catch (error) {
      // Rethrow a listener's error as uncaught: it must not interrupt start() or stop().
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
    service.start().catch(() => {}); // the status event reports it
  });
  await end.finally(() => process.stdin.destroy());
  process.stderr.write('bgremove: stopped\n');
}

const script = process.argv[1]; // of an application that imports this module, if any
if (script && existsSync(script) && realpathSync(script) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    process.stderr.write(`bgremove: ${error.message}\n`);
    process.exitCode = 1;
  });
}
