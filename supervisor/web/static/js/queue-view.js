// Photo list: one row per job, with thumbnail, progress, error message and buttons.
import { announce, byId, formatBytes, h, iconButton, isDisabled, keepFocus, setDisabled } from './dom.js';
import { download, downloadAll } from './save.js';
import { drawThumbnail } from './thumbnail.js';

const CROSS_ICON = 'M6 6l12 12M18 6L6 18';
const RETRY_ICON = 'M20 11a8 8 0 1 0-2.3 6M20 5v6h-6';
const SAVE_ICON = 'M12 4v11M7 11l5 5 5-5M5 20h14';
const NO_SUBJECT = 'No subject was found';
const TITLE = document.title;

/** `select` shows a job, or null, in the viewer; `retry` submits its photo again. */
export class QueueView {
  #rows = new Map();
  #follows = false; // the selection moves on from a photo that fails: the user has not selected one since
  selected = null;

  constructor(queue, { select, retry }) {
    Object.assign(this, { queue, onSelect: select, onRetry: retry });
    queue.addEventListener('change', () => this.render());
    queue.addEventListener('ended', ({ job }) => {
      announce(`${job.name}: ${describeOutcome(job)}`);
      this.#moveOn();
    });
    byId('clear').addEventListener('click', () => this.#clear());
    byId('download-all').addEventListener('click', ({ currentTarget }) => this.#downloadAll(currentTarget));
  }

  /** Select the first of the photos that were just added, and the first that succeeds if that one fails. */
  follow(job) {
    this.select(job);
    this.#follows = true;
  }

  select(job) {
    this.#follows = false;
    this.selected = job;
    keepFocus(() => {
      this.onSelect(job);
      this.render();
    });
    this.#rows.get(job)?.node.scrollIntoView({ block: 'nearest' });
  }

  render() {
    const rows = byId('queue').children;
    const index = [...rows].findIndex((row) => row.contains(document.activeElement));
    keepFocus(() => {
      this.#show(this.queue);
      if (this.selected && !this.queue.jobs.includes(this.selected)) this.select(this.queue.jobs.at(-1) ?? null);
    }, () => rows[Math.min(index, rows.length - 1)]?.querySelector('.pick'));
  }

  #moveOn() {
    const { jobs } = this.queue;
    if (!this.#follows || this.selected?.state !== 'failed') return;
    const success = jobs.slice(jobs.indexOf(this.selected)).find((job) => job.state === 'done');
    if (success) this.select(success);
  }

  #show({ jobs, done }) {
    byId('queue-box').hidden = jobs.length === 0;
    const ended = jobs.filter((job) => job.ended).length;
    byId('queue-title').textContent = jobs.length > 1 ? `Photos: ${ended} of ${jobs.length}` : 'Photos';
    document.title = ended < jobs.length ? `(${ended}/${jobs.length}) ${TITLE}` : TITLE;
    byId('clear').hidden = ended === 0;
    byId('download-all').hidden = done.length < 2;
    for (const [job, row] of this.#rows) {
      if (!jobs.includes(job)) {
        row.node.remove();
        this.#rows.delete(job);
      }
    }
    for (const job of jobs) {
      if (!this.#rows.has(job)) this.#rows.set(job, this.#createRow(job));
      this.#rows.get(job).show(job === this.selected);
    }
  }

  #createRow(job) {
    const row = new PhotoRow(job, {
      select: () => this.select(job),
      retry: () => this.onRetry(job),
      remove: () => this.queue.remove(job),
    });
    byId('queue').append(row.node);
    return row;
  }

  #clear() {
    const count = this.queue.unsaved.length;
    const warning = count === 1 ? 'One result is not saved.' : `${count} results are not saved.`;
    if (count === 0 || confirm(`${warning} Clear the list anyway?`)) this.queue.clear();
  }

  async #downloadAll(button) {
    if (isDisabled(button)) return; // a double click would save each photo twice
    setDisabled(button, true);
    await downloadAll(this.queue.done).catch((error) => {
      byId('queue-title').textContent = error.message;
      announce(error.message);
    });
    setDisabled(button, false);
  }
}

class PhotoRow {
  #thumbnailBlob = null;

  constructor(job, { select, retry, remove }) {
    this.job = job;
    this.canvas = h('canvas', { width: 96, height: 96, 'aria-hidden': 'true' });
    this.name = h('span', { className: 'name', dir: 'auto' });
    this.text = h('span');
    this.bar = h('progress', { max: 100 });
    this.details = h('span', { className: 'details' }, this.text, this.bar);
    this.pick = h('button', { type: 'button', className: 'pick', onclick: select, 'aria-keyshortcuts': 'Delete',
      onkeydown: ({ key }) => { if (key === 'Delete') (job.ended ? remove : () => job.cancel())(); },
    }, this.canvas, this.name, this.details);
    this.cancel = iconButton(`Cancel ${job.name}`, CROSS_ICON, () => job.cancel());
    this.retry = iconButton(`Try ${job.name} again`, RETRY_ICON, retry);
    this.save = iconButton(`Download ${job.name}`, SAVE_ICON, () => this.#save());
    this.remove = iconButton(`Remove ${job.name} from the list`, CROSS_ICON, remove);
    this.node = h('li', {}, this.pick, this.retry, this.save, this.cancel, this.remove);
  }

  async #save() {
    await download(this.job).catch((error) => {
      this.text.textContent = error.message;
      announce(error.message);
    });
  }

  show(selected) {
    const { job } = this;
    const failed = job.state === 'failed';
    this.node.className = ['photo', selected && 'selected', failed && 'failed'].filter(Boolean).join(' ');
    this.node.dataset.state = job.state;
    this.pick.setAttribute('aria-current', selected);
    this.name.textContent = job.name;
    this.name.title = job.name;
    this.text.textContent = job.state === 'done' ? summarise(job) : job.message;
    this.bar.hidden = job.state !== 'running';
    this.bar.value = job.percent;
    this.bar.setAttribute('aria-label', `Progress of ${job.name}`);
    this.cancel.hidden = job.ended;
    setDisabled(this.cancel, job.cancelling);
    this.retry.hidden = !(failed || job.state === 'cancelled') || !job.retrySource;
    this.save.hidden = job.state !== 'done';
    this.remove.hidden = !job.ended;
    this.#showThumbnail(job.cutout ?? job.original);
  }

  #showThumbnail(blob) {
    if (!blob || blob === this.#thumbnailBlob) return;
    this.#thumbnailBlob = blob;
    drawThumbnail(this.canvas, blob);
  }
}

function describeOutcome(job) {
  if (job.state !== 'done') return job.message;
  return job.result.subject ? 'background removed' : NO_SUBJECT;
}

function summarise({ result: { width, height, format, subject }, cutout }) {
  if (!subject) return NO_SUBJECT;
  return `${width} × ${height} · ${format.toUpperCase()} · ${formatBytes(cutout.size)}`;
}
