// The list of photos: a row each, with its progress, its error in words, and what can be done about it.
import { announce, byId, h, iconButton, keepFocus, pause, rest, rests, sizeInWords } from './dom.js';
import { download } from './save.js';
import { drawThumbnail } from './thumbnail.js';

const CROSS = 'M6 6l12 12M18 6L6 18';
const AGAIN = 'M20 11a8 8 0 1 0-2.3 6M20 5v6h-6';
const SAVE = 'M12 4v11M7 11l5 5 5-5M5 20h14';
const NO_SUBJECT = 'No subject was found';
const PAUSE_MS = 300; // browsers drop downloads that come at once

/** `select` shows a job (or null) on the stage, `again` sends one anew. */
export class QueueView {
  #rows = new Map();
  selected = null;

  constructor(queue, { select, again }) {
    Object.assign(this, { queue, onSelect: select, onAgain: again });
    queue.addEventListener('change', () => this.render());
    queue.addEventListener('ended', ({ job }) => {
      announce(`${job.name}: ${job.state !== 'done' ? job.message : job.result.subject ? 'background removed' : NO_SUBJECT}`);
    });
    byId('clear').addEventListener('click', () => {
      const count = queue.unsaved.length;
      const asked = count === 1 ? 'One result was not saved.' : `${count} results were not saved.`;
      if (count === 0 || confirm(`${asked} Clear the list all the same?`)) queue.clear();
    });
    byId('download-all').addEventListener('click', async ({ currentTarget: button }) => {
      if (rests(button)) return; // a double click would save each photo twice
      rest(button, true);
      for (const job of queue.done) {
        download(job);
        await pause(PAUSE_MS);
      }
      rest(button, false);
    });
  }

  select(job) {
    this.selected = job;
    keepFocus(() => {
      this.onSelect(job);
      this.render();
    });
    this.#rows.get(job)?.node.scrollIntoView({ block: 'nearest' });
  }

  render() {
    const rows = byId('queue').children;
    const place = [...rows].findIndex((row) => row.contains(document.activeElement));
    keepFocus(() => {
      this.#show(this.queue);
      if (this.selected && !this.queue.jobs.includes(this.selected)) this.select(this.queue.jobs.at(-1) ?? null);
    }, () => rows[Math.min(place, rows.length - 1)]?.querySelector('.pick'));
  }

  #show({ jobs, done }) {
    byId('queue-box').hidden = jobs.length === 0;
    const ended = jobs.filter((job) => job.ended).length;
    byId('queue-title').textContent = jobs.length > 1 ? `Photos: ${ended} of ${jobs.length}` : 'Photos';
    byId('clear').hidden = ended === 0;
    byId('download-all').hidden = done.length < 2;
    for (const [job, row] of this.#rows) {
      if (!jobs.includes(job)) {
        row.node.remove();
        this.#rows.delete(job);
      }
    }
    for (const job of jobs) {
      if (!this.#rows.has(job)) this.#rows.set(job, this.#made(job));
      this.#rows.get(job).show(job === this.selected);
    }
  }

  #made(job) {
    const row = new PhotoRow(job, {
      pick: () => this.select(job),
      again: () => this.onAgain(job),
      drop: () => this.queue.drop(job),
    });
    byId('queue').append(row.node);
    return row;
  }
}

class PhotoRow {
  #pictured = null;

  constructor(job, { pick, again, drop }) {
    this.job = job;
    this.canvas = h('canvas', { width: 96, height: 96, 'aria-hidden': 'true' });
    this.name = h('span', { className: 'name', dir: 'auto' });
    this.said = h('span', { className: 'said' });
    this.text = h('span');
    this.bar = h('progress', { max: 100 });
    this.said.append(this.text, this.bar);
    this.pick = h('button', { type: 'button', className: 'pick', onclick: pick }, this.canvas, this.name, this.said);
    this.cancel = iconButton(`Cancel ${job.name}`, CROSS, () => job.cancel());
    this.again = iconButton(`Try ${job.name} again`, AGAIN, again);
    this.save = iconButton(`Download ${job.name}`, SAVE, () => download(job));
    this.drop = iconButton(`Remove ${job.name} from the list`, CROSS, drop);
    this.node = h('li', {}, this.pick, this.again, this.save, this.cancel, this.drop);
  }

  show(selected) {
    const { job } = this;
    const failed = job.state === 'failed';
    this.node.className = ['photo', selected && 'selected', failed && 'failed'].filter(Boolean).join(' ');
    this.node.dataset.state = job.state;
    this.pick.setAttribute('aria-current', selected);
    this.name.textContent = job.name;
    this.name.title = job.name;
    this.text.textContent = job.state === 'done' ? this.#summary() : job.message;
    this.bar.hidden = job.state !== 'running';
    this.bar.value = job.percent;
    this.bar.setAttribute('aria-label', `Progress of ${job.name}`);
    this.cancel.hidden = job.ended;
    rest(this.cancel, job.cancelling);
    this.again.hidden = !(failed || job.state === 'cancelled');
    this.save.hidden = job.state !== 'done';
    this.drop.hidden = !job.ended;
    this.#picture(job.cutout ?? job.original);
  }

  #summary() {
    const { width, height, format, subject } = this.job.result;
    if (!subject) return NO_SUBJECT;
    return `${width} × ${height} · ${format.toUpperCase()} · ${sizeInWords(this.job.cutout.size)}`;
  }

  #picture(blob) {
    if (!blob || blob === this.#pictured) return;
    this.#pictured = blob;
    drawThumbnail(this.canvas, blob);
  }
}
