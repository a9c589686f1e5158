// Getting a result out of the page: as a file, or to the clipboard.
import { h } from './dom.js';

const KEPT_MS = 30_000; // long enough for a slow disk to take the file

/** Save a finished job's result under the name that the service gave it. */
export function download(job) {
  const address = URL.createObjectURL(job.cutout);
  h('a', { href: address, download: job.fileName }).click();
  job.saved = true;
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}

/** Whether this page may write pictures to the clipboard: not on plain http from another machine. */
export const canCopy = () => Boolean(navigator.clipboard?.write && window.ClipboardItem);

/** Copy a finished job's result, as a PNG: the one format that every clipboard takes. */
export async function copy(job) {
  const png = job.cutout.type === 'image/png' ? job.cutout : asPng(job.cutout);
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
  job.saved = true;
}

async function asPng(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
