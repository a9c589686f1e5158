// One long action of a row: its button's call, then its progress, log and end below the row.
import { post, remove } from './api.js';
import { announce, h, keepFocus, say } from './dom.js';
import { follow } from './stream.js';

/** Lives as long as its row; runs one action at a time. Emits "change" when it begins and ends.
 *
 * An action counts as running until `settle` has resolved: until what it changed is known. */
export class Operation extends EventTarget {
  running = false;
  #taskId = null;

  /** `part` streams its tasks; `columns` is how wide the table is. */
  constructor(part, columns, settle) {
    super();
    this.settle = settle;
    this.part = part;
    this.message = h('span', { className: 'message' });
    this.percent = h('span', { className: 'percent' });
    this.cancel = h('button', { type: 'button', className: 'quiet', onclick: () => this.#cancel() }, 'Cancel');
    this.bar = h('progress', { max: 100, 'aria-label': 'Progress' });
    this.log = h('pre', { tabIndex: 0, role: 'region', 'aria-label': 'Log' });
    const line = h('div', { className: 'line' }, this.message, this.percent, this.cancel);
    const cell = h('td', { colSpan: columns, role: 'cell' }, line, this.bar, this.log);
    this.row = h('tr', { className: 'operation', role: 'row', hidden: true }, cell);
  }

  /** POST to `path` and follow the task that it starts; `done` puts the answer of a call without one into words. */
  async begin(path, done = () => 'There is nothing to do.') {
    await this.#while(async () => {
      this.#show({ message: 'Starting', percent: 0, logs: [] });
      const answer = await post(path);
      if (answer.task_id) await this.#follow(answer.task_id);
      else this.#end(done(answer));
    });
  }

  /** Follow a task that runs already, started by another page or before this one was opened. */
  async join(taskId) {
    await this.#while(() => this.#follow(taskId));
  }

  /** Forget how the last action went. */
  clear() {
    if (!this.running) this.#change(() => { this.row.hidden = true; });
  }

  #change(act) {
    keepFocus(act, () => this.row.parentElement.querySelector('.actions button:not([hidden])'));
  }

  async #while(act) {
    if (this.running) return;
    this.running = true;
    this.dispatchEvent(new Event('change'));
    try {
      await act();
    } catch (error) {
      this.#end(error.message, true);
    } finally {
      this.#taskId = null;
      await this.settle();
      this.running = false;
      this.dispatchEvent(new Event('change'));
    }
  }

  async #follow(taskId) {
    this.#taskId = taskId;
    const last = await follow(this.part, taskId, (task) => this.#show(task));
    this.#end(last.message, last.status === 'error');
  }

  #show(task) {
    this.row.hidden = false;
    this.bar.hidden = false;
    this.bar.value = task.percent;
    this.cancel.hidden = this.#taskId === null;
    this.message.className = 'message';
    this.message.textContent = task.message;
    this.percent.textContent = `${Math.floor(task.percent)} %`;
    const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
    say(this.log, task.logs.join('\n')); // replaced whole each time
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #end(message, failed = false) {
    this.#change(() => {
      this.row.hidden = false;
      this.bar.hidden = true;
      this.cancel.hidden = true;
      this.percent.textContent = '';
      this.message.className = failed ? 'message failed' : 'message';
      this.message.textContent = message;
      if (!failed) say(this.log, '');
    });
    announce(message);
  }

  async #cancel() {
    this.#change(() => { this.cancel.hidden = true; });
    try {
      await remove(`tasks/${this.#taskId}`);
    } catch (error) {
      if (error.code !== 'already_finished') this.message.textContent = error.message;
    }
  }
}
