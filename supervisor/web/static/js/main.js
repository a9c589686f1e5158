// Entry point: creates the parts of the page and connects them.
import { byId } from './dom.js';
import { host } from './host.js';
import { OptionsForm } from './options.js';
import { QueueView } from './queue-view.js';
import { Queue } from './queue.js';
import { ResultDetails } from './result-details.js';
import { listenForPhotos } from './sources.js';
import { Status } from './status.js';
import { StatusPanel } from './status-panel.js';
import { createStatusTable } from './table.js';
import { Viewer } from './viewer.js';

const status = new Status();
const rows = createStatusTable(status);
new StatusPanel(status, rows);
const options = new OptionsForm(() => retry(list.selected));
const queue = new Queue();

/** Submit photos with the current options, and select the first of them. */
function submit(sources, changes = {}) {
  const current = options.values();
  const [first] = queue.add(sources, { ...current, fields: { ...current.fields, ...changes } });
  if (first) list.follow(first);
}

/** Submit a photo again with the current options. Its previous job is removed unless it has a result. */
function retry(job, changes) {
  submit([job.retrySource], changes);
  if (job.state !== 'done') queue.remove(job);
}

const viewer = new Viewer(new ResultDetails(status, rows.model, retry));
const list = new QueueView(queue, {
  select: (job) => {
    viewer.show(job);
    options.setJob(job);
  },
  retry,
});

listenForPhotos(submit);
queue.addEventListener('ended', () => status.refresh()); // a removal may have loaded a model or crashed its worker
queue.addEventListener('serverlost', () => status.refresh());
addEventListener('beforeunload', (event) => {
  // Electron shows no prompt: its window would just not close.
  if (host || navigator.userAgent.includes('Electron/')) return;
  if (queue.unsaved.length || queue.jobs.some((job) => !job.ended)) event.preventDefault(); // the browser prompts
});
status.addEventListener('change', () => {
  if (!status.server || status.problem) return;
  queue.resume();
  byId('version').textContent = `bgremove ${status.server.server.version}`;
  options.load(status.modelsOnDisk);
});
queue.recall();
if (queue.jobs.length) list.select(queue.jobs[0]);
status.refresh();
