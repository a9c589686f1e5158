// One photo on its way: sent, followed, fetched. The photo is sent as it is, never scaled.
import { file, post, postJson, get, remove, request } from './api.js';
import { pause } from './dom.js';
import { follow } from './stream.js';

const QUEUE_FULL_RETRY_MS = 2000;
const MOST_SENDS = 5;
// The server has ended, another one is in its place, or this machine slept: the photo is still here, to be sent again.
const LOST = new Set(['unreachable', 'stopping', 'not_found', 'upload_stalled']);

/**
 * Emits "change". `state` is "waiting", "running", "done", "failed" or "cancelled"; `message` says more, for people.
 * Once done: `result` as the service tells it, `original` and `cutout` blobs, `fileName` to save the cutout under.
 */
export class Job extends EventTarget {
  state = 'waiting';
  message = 'Waiting';
  percent = 0;
  code = null;
  result = null;
  cutout = null;
  fileName = null;
  cancelling = false; // the service was asked to, and has not refused
  held = false; // waits for a server that answers, to be sent again
  saved = false; // has left the page, as a file or to the clipboard
  #sends = 0;
  #aborter = null;
  #taskId = null;

  /** `source` is a File, or the address of a photo; `options` as OptionsForm.values() gives them. */
  constructor(source, options) {
    super();
    this.source = source;
    this.options = options;
    this.original = source instanceof File ? source : null;
    this.name = source instanceof File ? source.name || 'pasted photo' : nameOf(source);
  }

  /** What to send to have it done anew: the photo itself, once it is here. */
  get photo() {
    if (this.source instanceof File || !this.original) return this.source;
    return new File([this.original], this.name, { type: this.original.type });
  }

  get ended() {
    return this.state !== 'waiting' && this.state !== 'running';
  }

  /** Take the photo through to its result, or to an error in words. Never rejects. */
  async run() {
    this.#aborter = new AbortController();
    this.#sends += 1;
    this.held = false;
    this.#set({ state: 'running', percent: 0, message: this.original ? 'Sending the photo' : 'Asking for the photo' });
    try {
      this.#taskId = await this.#send();
      const last = await follow('remove', this.#taskId, (task) => this.#progress(task), this.#aborter.signal);
      if (last.status === 'error') this.#fail(last.message, last.code);
      else await this.#collect();
    } catch (error) {
      if (error.name === 'AbortError') this.#set({ state: 'cancelled', message: 'Cancelled' });
      else this.#fail(error.message, error.code);
    }
  }

  /** Stop, wherever it stands. */
  async cancel() {
    if (this.ended || this.cancelling) return;
    if (!this.#taskId) {
      this.#aborter?.abort();
      this.#set({ state: 'cancelled', message: 'Cancelled' });
      return;
    }
    this.#set({ cancelling: true, message: 'Cancelling' });
    try {
      await remove(`tasks/${this.#taskId}`); // the stream tells how it ended
    } catch (error) {
      this.#set({ cancelling: false, message: error.message });
    }
  }

  /** The page goes for good: nobody will come for the result. */
  leave() {
    if (this.ended || !this.#taskId) return;
    for (const path of [`tasks/${this.#taskId}`, `remove/result/${this.#taskId}`]) {
      request(path, { method: 'DELETE', keepalive: true }).catch(() => {});
    }
  }

  async #send() {
    for (;;) {
      try {
        return (await this.#ask()).task_id;
      } catch (error) {
        if (error.code !== 'queue_full') throw error;
        this.#set({ message: 'The queue is full; waiting for a place' });
        await pause(QUEUE_FULL_RETRY_MS);
        this.#aborter.signal.throwIfAborted();
      }
    }
  }

  #ask() {
    const { fields, files } = this.options;
    const { signal } = this.#aborter;
    if (this.source instanceof File) {
      const form = new FormData();
      form.append('file', this.source, this.name);
      for (const [name, value] of Object.entries({ ...fields, ...files })) form.append(name, value);
      return post('remove/upload', form, signal).catch((error) => unlessUnreadable(this.source, error));
    }
    if (Object.keys(files).length) throw new Error('An image as background goes with photos from this machine only.');
    return postJson('remove/url', { url: this.source, ...fields }, signal);
  }

  async #collect() {
    this.#set({ message: 'Fetching the result' });
    const { signal } = this.#aborter;
    const result = await get(`remove/result/${this.#taskId}`, signal);
    const cutout = await file(result.result_file_id, signal);
    if (!this.original) {
      const original = await file(result.original_file_id, signal);
      Object.assign(this, { original: original.blob, name: original.name });
    }
    // All of it is here now: nothing of the photo needs to stay on the server.
    request(`remove/result/${this.#taskId}`, { method: 'DELETE' }).catch(() => {});
    Object.assign(this, { result, cutout: cutout.blob, fileName: cutout.name });
    this.#set({ state: 'done', message: '', percent: 100 });
  }

  #progress({ percent, message }) {
    if (!this.cancelling) this.#set({ percent, message });
  }

  #fail(message, code = null) {
    if (LOST.has(code) && !this.cancelling && this.#sends < MOST_SENDS) {
      this.held = true;
      this.#taskId = null; // a cancel now has nothing to ask of anybody
      this.#set({ state: 'waiting', message: 'The server does not answer; sent again when it does' });
    } else if (code === 'cancelled') this.#set({ state: 'cancelled', message: 'Cancelled' });
    else this.#set({ state: 'failed', message, code });
  }

  #set(changes) {
    if (this.ended) return;
    Object.assign(this, changes);
    this.dispatchEvent(new Event('change'));
  }
}

/** Throw why a file was not sent: browsers tell a file that they cannot read from a server that is away by nothing. */
async function unlessUnreadable(source, error) {
  if (error.code === 'unreachable') {
    await source.arrayBuffer().catch(() => {
      throw new Error('This cannot be read: it is a folder, or has gone since it was chosen.');
    });
  }
  throw error;
}

function nameOf(address) {
  try {
    const { pathname, hostname } = new URL(address);
    return decodeURIComponent(pathname.split('/').pop()) || hostname;
  } catch {
    return address;
  }
}
