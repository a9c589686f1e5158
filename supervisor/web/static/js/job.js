// Job: the removal of one photo, from upload to result. The photo is uploaded unchanged, never scaled.
import { ApiError, downloadFile, get, post, postJson, remove, request } from './api.js';
import { delay } from './dom.js';
import { followTask } from './stream.js';
import { forget, remember } from './task-memory.js';

const QUEUE_FULL_RETRY_MS = 2000;
const MAX_ATTEMPTS = 5;
// Errors after which the job goes on when the server responds: it has stopped or restarted, or this computer slept.
const RETRYABLE_CODES = new Set(['unreachable', 'stopping', 'not_found', 'upload_stalled']);
const GONE_CODES = new Set(['not_found', 'expired']); // the server does not have the task any more

/**
 * Emits "change". `state` is "waiting", "running", "done", "failed" or "cancelled"; `message` explains it to the user.
 * Once done, `result` is the service's description, `original` and `cutout` are blobs, `fileName` is the cutout's name.
 */
export class Job extends EventTarget {
  state = 'waiting';
  message = 'Not sent yet';
  percent = 0;
  code = null;
  result = null;
  cutout = null;
  fileName = null;
  cancelling = false; // a cancellation was requested and not refused
  awaitsServer = false; // goes on when the server responds
  gone = false; // a task of an earlier visit that the server does not have any more
  saved = false; // downloaded or copied to the clipboard
  background = null; // chosen for the finished result, as Backdrop describes it; null leaves it as it is
  #composed = null; // the result with a background: { background, file }, `file` being a promise
  #attempts = 0;
  #aborter = null;
  #taskId = null;
  #key = randomKey(); // by which the server recognises an upload that is sent again

  /** `source` is a File or the URL of a photo; `options` as OptionsForm.values() returns them. */
  constructor(source, options) {
    super();
    this.source = source;
    this.options = options;
    this.original = source instanceof File ? source : null;
    this.name = source instanceof File ? source.name || 'pasted photo' : nameFromUrl(source);
  }

  /** Return a job for a task that an earlier visit of this tab has submitted; its photo is the server's. */
  static recall({ taskId, name, options }) {
    const job = new Job('', options ?? { fields: {}, files: {} });
    job.name = name;
    job.#taskId = taskId;
    return job;
  }

  /** The source for another removal of this photo: the downloaded original if there is one. */
  get retrySource() {
    if (this.source instanceof File || !this.original) return this.source;
    return new File([this.original], this.name, { type: this.original.type });
  }

  /** Whether a background can be chosen: the result is transparent. */
  get transparent() {
    const { fields, files } = this.options;
    const opaque = fields.background || files.background_file || fields.format === 'jpeg';
    return this.state === 'done' && this.result.format !== 'zip' && fields.output !== 'mask' && !opaque;
  }

  /** Return the result as it is shown, { blob, name }: with the chosen background. Rejects with ApiError. */
  async compose() {
    const { background } = this;
    if (!background) return { blob: this.cutout, name: this.fileName };
    if (this.#composed?.background !== background) {
      const file = this.#edit(background);
      this.#composed = { background, file };
      file.catch(() => { this.#composed = null; }); // the next one tries again
    }
    return this.#composed.file;
  }

  get ended() {
    return this.state !== 'waiting' && this.state !== 'running';
  }

  /** Run the removal to its end. Errors become the job's state; never rejects. */
  async run() {
    this.#aborter = new AbortController();
    this.#attempts += 1;
    this.awaitsServer = false;
    this.#set({ state: 'running', percent: 0, message: this.#firstMessage });
    try {
      if (!this.#taskId) {
        this.#taskId = await this.#submit();
        remember({ taskId: this.#taskId, name: this.name, options: { fields: this.options.fields, files: {} } });
      }
      const task = await followTask('remove', this.#taskId, (update) => this.#showProgress(update), this.#aborter.signal);
      if (task.status === 'error') this.#fail(task.message, task.code);
      else await this.#downloadResult();
    } catch (error) {
      if (error.name === 'AbortError') this.#set({ state: 'cancelled', message: 'Cancelled' });
      else this.#fail(error.message, error.code);
    }
  }

  /** Cancel the removal in any state. */
  async cancel() {
    if (this.ended || this.cancelling) return;
    if (!this.#taskId || this.awaitsServer) {
      this.#aborter?.abort();
      this.#set({ state: 'cancelled', message: 'Cancelled' });
      return;
    }
    this.#set({ cancelling: true, message: 'Cancelling' });
    try {
      await remove(`tasks/${this.#taskId}`); // the task's stream reports the end
    } catch (error) {
      this.#set({ cancelling: false, message: error.message });
    }
  }

  /** Delete the result on the server: the photo leaves the list. */
  discard() {
    if (!this.#taskId) return;
    forget(this.#taskId);
    if (this.state === 'done') request(`remove/result/${this.#taskId}`, { method: 'DELETE' }).catch(() => {}); // it expires
    this.#taskId = null;
  }

  /** Return a result with other options, made by the service from the photo and alpha that it has. */
  async #edit({ fields, files }) {
    const { task_id: taskId } = await post(`remove/edit/${this.#taskId}`, toForm({ ...fields, ...files }));
    const task = await followTask('remove', taskId, () => {}, new AbortController().signal);
    if (task.status === 'error') throw new ApiError(task.message, task.code);
    const result = await get(`remove/result/${taskId}`);
    const file = await downloadFile(result.result_file_id);
    request(`remove/result/${taskId}`, { method: 'DELETE' }).catch(() => {}); // it expires
    return file;
  }

  get #firstMessage() {
    if (this.#taskId) return 'Reconnecting';
    return this.original ? 'Uploading the photo' : 'Fetching the photo';
  }

  async #submit() {
    for (;;) {
      try {
        return (await this.#post()).task_id;
      } catch (error) {
        if (error.code !== 'queue_full') throw error;
        this.#set({ message: 'The queue is full, retrying' });
        await delay(QUEUE_FULL_RETRY_MS);
        this.#aborter.signal.throwIfAborted();
      }
    }
  }

  #post() {
    const { fields, files } = this.options;
    const { signal } = this.#aborter;
    const headers = { 'Idempotency-Key': this.#key };
    if (this.source instanceof File) {
      const form = toForm({ ...fields, ...files });
      form.append('file', this.source, this.name);
      return post('remove/upload', form, signal, headers).catch((error) => rethrowIfReadable(this.source, error));
    }
    if (Object.keys(files).length) throw new Error('A background image can be used with uploaded photos only, not with URLs.');
    return postJson('remove/url', { url: this.source, ...fields }, signal, headers);
  }

  async #downloadResult() {
    this.#set({ message: 'Downloading the result' });
    const { signal } = this.#aborter;
    const result = await get(`remove/result/${this.#taskId}`, signal);
    const cutout = await downloadFile(result.result_file_id, signal);
    if (!this.original) {
      const original = await downloadFile(result.original_file_id, signal);
      Object.assign(this, { original: original.blob, name: original.name });
    }
    Object.assign(this, { result, cutout: cutout.blob, fileName: cutout.name });
    this.#set({ state: 'done', message: '', percent: 100 });
  }

  #showProgress({ percent, message, queue_position: position }) {
    if (!this.cancelling) this.#set({ percent, message: position ? describePosition(position) : message });
  }

  #fail(message, code = null) {
    if (GONE_CODES.has(code)) {
      forget(this.#taskId);
      this.#taskId = null;
      this.gone = !this.source;
    }
    if (this.gone) this.#set({ state: 'failed', message: 'The server does not have this photo any more.', code });
    else if (RETRYABLE_CODES.has(code) && !this.cancelling && this.#attempts < MAX_ATTEMPTS) {
      this.awaitsServer = true;
      const next = this.#taskId ? 'The removal goes on when it does.' : 'The photo is sent again when it does.';
      this.#set({ state: 'waiting', message: `The server does not respond. ${next}` });
    } else if (code === 'cancelled') this.#set({ state: 'cancelled', message: 'Cancelled' });
    else this.#set({ state: 'failed', message, code });
  }

  #set(changes) {
    if (this.ended) return;
    Object.assign(this, changes);
    this.dispatchEvent(new Event('change'));
  }
}

function toForm(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

/** Return 32 hexadecimal digits. crypto.randomUUID() is missing where the page comes by http from another machine. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Describe a position in the server's queue, which counts from 1. */
const describePosition = (position) =>
  (position === 1 ? 'Next in the queue' : `Number ${position} in the queue`);

/** Rethrow the error of a failed upload. fetch() fails alike for an unreadable file and an unreachable server. */
async function rethrowIfReadable(source, error) {
  if (error.code === 'unreachable') {
    await source.arrayBuffer().catch(() => {
      throw new Error('This file cannot be read: it is a folder, or has been moved or deleted.');
    });
  }
  throw error;
}

function nameFromUrl(url) {
  try {
    const { pathname, hostname } = new URL(url);
    return decodeURIComponent(pathname.split('/').pop()) || hostname;
  } catch {
    return url;
  }
}
