// Operation: a long-running task of a status row (install, download, load), with its progress, log and outcome.
import { remove } from './api.js';
import { announce, h, keepFocus, setText } from './dom.js';
import { followTask } from './stream.js';

/**
 * Runs one task at a time. Emits "change" when it starts, when its task is known, and when it ends.
 * A task counts as running until the promise of `refresh` has resolved, so that its effects are known.
 */
export class Operation extends EventTarget {
  running = false;
  taskId = null; // of the running task, null while it is unknown

  /**
   * `streamPath` is the API path that streams its tasks; `columns` is the number of table columns; `subject` is what
   * the task is about, for screen readers, if there are several such operations.
   */
  constructor(streamPath, columns, refresh, subject = '') {
    super();
    Object.assign(this, { refresh, streamPath, subject });
    this.message = h('span', { className: 'message' });
    this.percent = h('span', { className: 'percent' });
    this.cancel = h('button', { type: 'button', className: 'quiet', onclick: () => this.stop() }, 'Cancel');
    this.bar = h('progress', { max: 100, 'aria-label': `Progress ${subject}`.trim() });
    this.log = h('pre', { tabIndex: 0, role: 'region', 'aria-label': `Log ${subject}`.trim() });
    const line = h('div', { className: 'line' }, this.message, this.percent, this.cancel);
    const cell = h('td', { colSpan: columns, role: 'cell' }, line, this.bar, this.log);
    this.row = h('tr', { className: 'operation', role: 'row', hidden: true }, cell);
  }

  /** Send a request and follow the task it starts; `describe` words the response of a request that starts none. */
  async start(send, describe = () => 'There is nothing to do.') {
    await this.#exclusively(async () => {
      this.#show({ message: 'Starting', percent: 0, logs: [] });
      const response = await send();
      if (response.task_id) await this.#follow(response.task_id);
      else this.#finish(describe(response));
    });
  }

  /** Follow a running task that another page, or a previous visit, has started. */
  async attach(taskId) {
    await this.#exclusively(() => this.#follow(taskId));
  }

  /** Hide the outcome of the last task. */
  clear() {
    if (!this.running) this.#keepFocus(() => { this.row.hidden = true; });
  }

  #keepFocus(change) {
    keepFocus(change, () => this.row.parentElement.querySelector('.actions button:not([hidden])'));
  }

  async #exclusively(action) {
    if (this.running) return;
    this.running = true;
    this.dispatchEvent(new Event('change'));
    try {
      await action();
    } catch (error) {
      this.#finish(error.message, true);
    } finally {
      this.taskId = null;
      await this.refresh();
      this.running = false;
      this.dispatchEvent(new Event('change'));
    }
  }

  async #follow(taskId) {
    this.taskId = taskId;
    this.dispatchEvent(new Event('change'));
    const task = await followTask(this.streamPath, taskId, (update) => this.#show(update));
    this.#finish(task.message, task.status === 'error');
  }

  #show(task) {
    this.row.hidden = false;
    this.bar.hidden = false;
    this.bar.value = task.percent;
    this.cancel.hidden = this.taskId === null;
    this.message.className = 'message';
    this.message.textContent = task.message;
    this.percent.textContent = `${Math.floor(task.percent)} %`;
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
    setText(this.log, task.logs.join('\n')); // every event has the whole log
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #finish(message, failed = false) {
    this.#keepFocus(() => {
      this.row.hidden = false;
      this.bar.hidden = true;
      this.cancel.hidden = true;
      this.percent.textContent = '';
      this.message.className = failed ? 'message failed' : 'message';
      this.message.textContent = message;
      if (!failed) setText(this.log, '');
    });
    announce(this.subject ? `${this.subject}: ${message}` : message);
  }

  /** Cancel the running task. */
  async stop() {
    this.#keepFocus(() => { this.cancel.hidden = true; });
    try {
      await remove(`tasks/${this.taskId}`);
    } catch (error) {
      if (error.code !== 'already_finished') this.message.textContent = error.message;
    }
  }
}
