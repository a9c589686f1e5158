// Upload a photo and download its result with generated types. Arguments: URL, photo, result.
import { readFile, writeFile } from 'node:fs/promises';
import createClient from 'openapi-fetch';
import type { paths } from './schema';

const [baseUrl, photo, target] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl });

async function main(): Promise<void> {
  const file = new File([await readFile(photo)], 'photo.jpg');
  const { data: accepted, error } = await client.POST('/api/v1/remove/upload', {
    // openapi-typescript has no other type for files
    body: { file: file as unknown as string, format: 'webp', max_size: 100 },
    bodySerializer: (body) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(body)) form.set(name, value as string | File);
      return form;
    },
  });
  if (!accepted) throw new Error(JSON.stringify(error));
  const path = { task_id: accepted.task_id };
  for (;;) {
    const { data: task } = await client.GET('/api/v1/tasks/{task_id}', { params: { path } });
    if (task?.status === 'complete') break;
    if (task?.status !== 'queued' && task?.status !== 'running') throw new Error(task?.message);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { data: result } = await client.GET('/api/v1/remove/result/{task_id}', { params: { path } });
  const { data: picture } = await client.GET('/api/v1/files/{file_id}', {
    params: { path: { file_id: result!.result_file_id } },
    parseAs: 'arrayBuffer',
  });
  await writeFile(target, Buffer.from(picture!));
}

main().catch((error: unknown) => { console.error(error); process.exit(1); });
