// A task's progress, live. Read with fetch and not with an EventSource, which can send no token and tells no status:
// so fetch is used everywhere, with a token or without.
import { Unreachable, get, request } from './api.js';
import { pause } from './dom.js';

const ENDS = new Set(['complete', 'error']);
const RETRY_MS = 500;
const MAX_FAILURES = 5;

/** Whether a task with this payload has ended. */
const hasEnded = (task) => ENDS.has(task.status);

/**
 * Follow a task to its end, through dropped connections, and resolve to its last payload.
 * `part` is the part of the API that streams it: "remove" or "env/install".
 */
export async function follow(part, taskId, onUpdate, signal) {
  for (let failures = 0; ;) {
    try {
      for await (const task of events(`${part}/stream/${taskId}`, signal)) {
        failures = 0;
        onUpdate(task);
        if (hasEnded(task)) return task;
      }
      const task = await get(`tasks/${taskId}`, signal); // the stream ended early: a proxy, a sleeping laptop
      onUpdate(task);
      if (hasEnded(task)) return task;
    } catch (error) {
      failures += 1;
      if (!(error instanceof Unreachable) || failures >= MAX_FAILURES) throw error;
    }
    await pause(RETRY_MS);
  }
}

async function* events(path, signal) {
  const answer = await request(path, { headers: { Accept: 'text/event-stream' }, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { value, done } = await read(reader);
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const lines = block.split(/\r?\n/).filter((line) => line.startsWith('data:'));
        if (lines.length) yield JSON.parse(lines.map((line) => line.slice(5)).join('\n'));
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it may be broken already
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable();
  }
}
