// @ts-check
/**
 * One child process, from spawn to end.
 *
 * @typedef {{ code: number | null, signal: string | null }} Exit
 * @typedef {{ stderr?: string[] } & Partial<Exit>} Details the last lines of its log, and how it ended by itself
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export const WINDOWS = process.platform === 'win32';
const STOP_MS = 6000; // the supervisor gives itself 5 seconds
const KILL_MS = 2000;
const DRAIN_MS = 1000;
const TAIL_LINES = 20;

/** Why there is no service: a sentence for people; for programs `reason`, a word, and `details`. */
export class ServiceError extends Error {
  /** @param {'not_spawned' | 'start_timeout' | 'ended' | 'stopped' | 'not_killed' | 'port_taken' | 'no_answer'
   *   | 'not_bgremove' | 'wrong_token'} reason @param {string} message @param {Details} [details] */
  constructor(reason, message, details = {}) {
    super(message);
    this.reason = reason;
    this.details = details;
  }
}

/** `ready` gives its ready line, parsed; `exit` how it ended, once all that it said has been read. */
export class Child {
  /** The last lines that it logged. @type {string[]} */
  tail = [];
  /** Set once it was told to end. @type {Promise<void> | undefined} */
  ending;

  /** @param {string} command @param {string[]} args @param {{ cwd: string, env: NodeJS.ProcessEnv }} where
   * @param {(line: string) => void} onLog */
  static async spawn(command, args, where, onLog) {
    try {
      // A session of its own: Ctrl-C in a terminal is for the application, which then ends the child.
      const child = spawn(command, args, { ...where, stdio: 'pipe', windowsHide: true, detached: !WINDOWS });
      await once(child, 'spawn');
      return new Child(child, onLog);
    } catch (error) {
      const why = error.code === 'ENOENT' ? `no such file, or no folder ${where.cwd}` : error.message;
      throw new ServiceError('not_spawned', `cannot run ${command}: ${why}`);
    }
  }

  /** @param {import('node:child_process').ChildProcessWithoutNullStreams} child
   * @param {(line: string) => void} onLog */
  constructor(child, onLog) {
    this.process = child;
    child.on('error', () => {}); // of a signal that could not be sent
    child.stdin.on('error', () => {});
    const log = (/** @type {string} */ line) => {
      this.tail = [...this.tail, line].slice(-TAIL_LINES);
      onLog(line);
    };
    createInterface(child.stderr).on('line', log);
    /** @type {Promise<any>} */
    this.ready = new Promise((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        const said = parsed(line);
        if (said?.event === 'ready') resolve(said);
        else log(line);
      });
    });
    /** @type {Promise<Exit>} */
    this.exit = new Promise((resolve) => {
      child.once('exit', async (code, signal) => {
        await within(DRAIN_MS, once(child, 'close'));
        resolve({ code, signal });
      });
    });
  }

  /** @param {string} when @param {Exit} exit */
  failure(when, exit) {
    const how = exit.signal ? `signal ${exit.signal}` : `code ${exit.code}`;
    const message = [`the service ended ${when} (${how})`, ...this.tail].join('\n  ');
    return new ServiceError('ended', message, { ...exit, stderr: this.tail });
  }

  /** End it, with everything that it started: politely, then by force. Rejects where neither helps. */
  end() {
    this.ending ??= this.#end();
    return this.ending;
  }

  async #end() {
    const { pid, stdin } = this.process;
    stdin.end();
    if (!WINDOWS) this.process.kill('SIGTERM'); // Windows has no signals: there, this would be force
    if (await within(STOP_MS, this.exit)) return;
    if (WINDOWS) execFile('taskkill', ['/pid', String(pid), '/T', '/F'], { windowsHide: true }, () => {});
    else this.process.kill('SIGKILL'); // the workers see to it that they go with the supervisor
    if (!(await within(KILL_MS, this.exit))) throw new ServiceError('not_killed', `process ${pid} does not end`);
  }
}

/** What the promise gives, or undefined once that time is over.
 * @template T @param {number} milliseconds @param {Promise<T>} promise @returns {Promise<T | undefined>} */
export function within(milliseconds, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {Promise<undefined>} */
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** @param {string} json @returns {any} undefined where it is none */
export function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
