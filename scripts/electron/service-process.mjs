// @ts-check
/**
 * The service's child process: spawn, ready line, log, shutdown.
 *
 * @typedef {{ code: number | null, signal: string | null }} Exit
 * @typedef {{ stderr?: string[] } & Partial<Exit>} Details the last lines of the log, and the exit if it ended itself
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export const WINDOWS = process.platform === 'win32';
const STOP_TIMEOUT_MS = 6000; // the supervisor takes up to 5 seconds
const KILL_TIMEOUT_MS = 2000;
const DRAIN_TIMEOUT_MS = 1000;
const TAIL_LINES = 20;

/** Why the service is not available: a sentence for people; a code, `reason`, and `details` for programs. */
export class ServiceError extends Error {
  /** @param {'not_spawned' | 'start_timeout' | 'ended' | 'stopped' | 'not_killed' | 'port_taken' | 'no_answer'
   *   | 'not_bgremove' | 'wrong_token'} reason @param {string} message @param {Details} [details] */
  constructor(reason, message, details = {}) {
    super(message);
    this.reason = reason;
    this.details = details;
  }
}

/** `ready` resolves to the parsed ready line; `exit` to the exit, once all output has been read. */
export class ServiceProcess {
  /** The last lines of the log. @type {string[]} */
  tail = [];
  /** Set once end() was called. @type {Promise<void> | undefined} */
  ending;

  /** @param {string} command @param {string[]} args @param {{ cwd: string, env: NodeJS.ProcessEnv }} options
   * @param {(line: string) => void} onLog */
  static async spawn(command, args, options, onLog) {
    try {
      // Detached (setsid): Ctrl-C in a terminal is for the application, which then ends this process.
      const child = spawn(command, args, { ...options, stdio: 'pipe', windowsHide: true, detached: !WINDOWS });
      await once(child, 'spawn');
      return new ServiceProcess(child, onLog);
    } catch (error) {
      const cause = error.code === 'ENOENT' ? `no such file, or no folder ${options.cwd}` : error.message;
      throw new ServiceError('not_spawned', `cannot run ${command}: ${cause}`);
    }
  }

  /** @param {import('node:child_process').ChildProcessWithoutNullStreams} child
   * @param {(line: string) => void} onLog */
  constructor(child, onLog) {
    this.child = child;
    child.on('error', () => {}); // a signal could not be sent
    child.stdin.on('error', () => {});
    const log = (/** @type {string} */ line) => {
      this.tail = [...this.tail, line].slice(-TAIL_LINES);
      onLog(line);
    };
    createInterface(child.stderr).on('line', log);
    /** @type {Promise<any>} */
    this.ready = new Promise((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        const event = parseJson(line);
        if (event?.event === 'ready') resolve(event);
        else log(line);
      });
    });
    /** @type {Promise<Exit>} */
    this.exit = new Promise((resolve) => {
      child.once('exit', async (code, signal) => {
        await withTimeout(DRAIN_TIMEOUT_MS, once(child, 'close'));
        resolve({ code, signal });
      });
    });
  }

  /** The error of an exit, with the tail of the log. @param {string} when @param {Exit} exit */
  exitError(when, exit) {
    const how = exit.signal ? `signal ${exit.signal}` : `code ${exit.code}`;
    const message = [`the service ended ${when} (${how})`, ...this.tail].join('\n  ');
    return new ServiceError('ended', message, { ...exit, stderr: this.tail });
  }

  /** End the process tree: by stdin and SIGTERM, then by force. Rejects with a ServiceError if that fails. */
  end() {
    this.ending ??= this.#end();
    return this.ending;
  }

  async #end() {
    const { pid, stdin } = this.child;
    stdin.end();
    if (!WINDOWS) this.child.kill('SIGTERM'); // on Windows kill() would terminate it by force
    if (await withTimeout(STOP_TIMEOUT_MS, this.exit)) return;
    if (WINDOWS) execFile('taskkill', ['/pid', String(pid), '/T', '/F'], { windowsHide: true }, () => {});
    else this.child.kill('SIGKILL'); // workers end with the supervisor (parent death signal)
    if (!(await withTimeout(KILL_TIMEOUT_MS, this.exit))) {
      throw new ServiceError('not_killed', `process ${pid} cannot be killed`);
    }
  }
}

/** Resolves to the promise's value, or to undefined after a timeout.
 * @template T @param {number} milliseconds @param {Promise<T>} promise @returns {Promise<T | undefined>} */
export function withTimeout(milliseconds, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {Promise<undefined>} */
  const timeout = new Promise((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** @param {string} text @returns {any} undefined for invalid JSON */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
