// Remove a photo's background: node examples/remove.mjs photo.jpg cutout.png [http://127.0.0.1:6905]
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
const { task_id } = await (await request('/api/v1/remove/upload', { method: 'POST', body })).json();

const stream = await request(`/api/v1/remove/stream/${task_id}`); // ends with the task
for await (const line of createInterface({ input: Readable.fromWeb(stream.body) })) {
  if (line.startsWith('data: ')) console.log(JSON.parse(line.slice(6)).message);
}

const { result_url } = await (await request(`/api/v1/remove/result/${task_id}`)).json();
await writeFile(cutout, Buffer.from(await (await request(result_url)).arrayBuffer()));
await request(`/api/v1/remove/result/${task_id}`, { method: 'DELETE' });
