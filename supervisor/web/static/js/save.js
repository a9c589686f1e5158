// Saving results: download as a file or all as a zip, or copy to the clipboard.
import { h } from './dom.js';
import { zip } from './zip.js';

const REVOKE_DELAY_MS = 30_000; // the browser may still be writing the file

/** Download a finished job's result, as it is shown, under the file name that the service chose. */
export async function download(job) {
  const { blob, name } = await job.compose();
  save(blob, name);
  job.saved = true;
}

/** Download the results of finished jobs as one zip; as several, if they have more than 4 GB. */
export async function downloadAll(jobs) {
  const zips = await zip(await Promise.all(jobs.map((job) => job.compose())));
  zips.forEach((blob, index) => save(blob, index ? `cutouts-${index + 1}.zip` : 'cutouts.zip'));
  for (const job of jobs) job.saved = true;
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_DELAY_MS);
}

/** Whether images can be copied. Browsers allow it in secure contexts only: https, or http on localhost. */
export const canCopy = () => Boolean(navigator.clipboard?.write && window.ClipboardItem);

/** Copy a finished job's result as PNG, the one image format that every clipboard supports. */
export async function copy(job) {
  const png = job.compose().then(({ blob }) => (blob.type === 'image/png' ? blob : convertToPng(blob)));
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
  job.saved = true;
}

async function convertToPng(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
