// Server-sent events of a task. Parsed from fetch(), since EventSource can send no token and reports no HTTP status.
import { Unreachable, get, request } from './api.js';
import { delay } from './dom.js';

const TERMINAL_STATUSES = new Set(['complete', 'error']);
const RETRY_MS = 500;
const MAX_FAILURES = 5;

const hasEnded = (task) => TERMINAL_STATUSES.has(task.status);

/**
 * Follow a task to its end, reconnecting after lost connections. Resolves to its last payload.
 * `streamPath` is the API path that streams the task: "remove" or "env/install".
 */
export async function followTask(streamPath, taskId, onUpdate, signal) {
  for (let failures = 0; ;) {
    try {
      for await (const task of readEvents(`${streamPath}/stream/${taskId}`, signal)) {
        failures = 0;
        onUpdate(task);
        if (hasEnded(task)) return task;
      }
      const task = await get(`tasks/${taskId}`, signal); // the stream was closed early, as some proxies do
      onUpdate(task);
      if (hasEnded(task)) return task;
    } catch (error) {
      failures += 1;
      if (!(error instanceof Unreachable) || failures >= MAX_FAILURES) throw error;
    }
    await delay(RETRY_MS);
  }
}

/** Yield the parsed data of each event of a stream. */
async function* readEvents(path, signal) {
  const response = await request(path, { headers: { Accept: 'text/event-stream' }, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { value, done } = await readChunk(reader);
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const lines = block.split(/\r?\n/).filter((line) => line.startsWith('data:'));
        if (lines.length) yield JSON.parse(lines.map((line) => line.slice(5)).join('\n'));
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // fails if the connection was lost
  }
}

async function readChunk(reader) {
  try {
    return await reader.read();
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable();
  }
}
