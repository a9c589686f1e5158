// Remove a photo's background: node examples/remove.mjs photo.jpg cutout.png [http://127.0.0.1:6905]
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const [photo, cutout, server = 'http://127.0.0.1:6905'] = process.argv.slice(2);

async function request(path, options) {
  const response = await fetch(server + path, options);
  if (!response.ok) throw new Error((await response.json()).detail);
  return response;
}

const body = new FormData();
body.append('file', new Blob([await readFile(photo)]), basename(photo));
body.append('crop', 'true');
const headers = { 'Idempotency-Key': randomUUID() }; // sent again with the same key, it gets the same task
const { task_id } = await (await request('/api/v1/remove/upload', { method: 'POST', body, headers })).json();

// A stream that ends before its task was cut off, as by a restart: it is opened again.
for (let task; !['complete', 'error'].includes(task?.status);) {
  try {
    const stream = await request(`/api/v1/remove/stream/${task_id}`);
    for await (const line of createInterface({ input: Readable.fromWeb(stream.body) })) {
      if (!line.startsWith('data: ')) continue;
      task = JSON.parse(line.slice(6));
      console.log(task.message);
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch's, without a connection
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}

const { result_url } = await (await request(`/api/v1/remove/result/${task_id}`)).json();
await writeFile(cutout, Buffer.from(await (await request(result_url)).arrayBuffer()));
await request(`/api/v1/remove/result/${task_id}`, { method: 'DELETE' });
