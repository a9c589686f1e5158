// The page: its parts, made once and told of each other.
import { byId } from './dom.js';
import { Facts } from './facts.js';
import { host } from './host.js';
import { OptionsForm } from './options.js';
import { QueueView } from './queue-view.js';
import { Queue } from './queue.js';
import { watchSources } from './sources.js';
import { Status } from './status.js';
import { statusTable } from './table.js';
import { Viewer } from './viewer.js';

const status = new Status();
const rows = statusTable(status);
const options = new OptionsForm(() => again(list.selected));
const queue = new Queue();

/** Send photos with the options as they are now, and look at the first of them. */
function send(sources, changes = {}) {
  const chosen = options.values();
  const [first] = queue.add(sources, { ...chosen, fields: { ...chosen.fields, ...changes } });
  if (first) list.select(first);
}

/** Send a photo anew, with the options as they are now. The one before makes room, unless it has a result. */
function again(job, changes) {
  send([job.photo], changes);
  if (job.state !== 'done') queue.drop(job);
}

const viewer = new Viewer(new Facts(status, rows.model, again));
const list = new QueueView(queue, {
  select: (job) => {
    viewer.show(job);
    options.offer(job);
  },
  again,
});

watchSources(send);
queue.addEventListener('ended', () => status.refresh()); // a removal may have loaded a model, or lost its worker
queue.addEventListener('lost', () => status.refresh());
addEventListener('beforeunload', (event) => {
  // An application's window would not ask but stay open without a word, as Electron's do.
  if (host || navigator.userAgent.includes('Electron/')) return;
  if (queue.unsaved.length || queue.jobs.some((job) => !job.ended)) event.preventDefault(); // the browser asks
});
addEventListener('pagehide', ({ persisted }) => {
  if (!persisted) for (const job of queue.jobs) job.leave();
});
status.addEventListener('change', () => {
  if (!status.server || status.problem) return;
  queue.resume();
  byId('version').textContent = `bgremove ${status.server.server.version}`;
  options.load().catch(() => {}); // asked again with the next status
});
status.refresh();
