// How photos come in: chosen, dropped, pasted, or by their address.
import { byId, say } from './dom.js';

const TEXT_FIELDS = 'input:not([type=range], [type=radio], [type=checkbox], [type=color], [type=file])';

/** Call `add` with Files, or with addresses, whenever the person brings some. */
export function watchSources(add) {
  const picker = byId('files');
  for (const id of ['choose', 'add']) byId(id).addEventListener('click', () => picker.click());
  picker.addEventListener('change', () => {
    add([...picker.files]);
    picker.value = ''; // the same photo may be chosen again
  });
  watchDrops(add);
  document.addEventListener('paste', (event) => {
    // Text goes where the cursor is; a picture can only be meant for the page.
    if (!event.clipboardData.files.length && event.target.closest?.(TEXT_FIELDS)) return;
    if (bring(event.clipboardData, add)) event.preventDefault();
  });
  watchAddress(add);
}

function watchDrops(add) {
  const mark = (on) => document.body.classList.toggle('dragging', on);
  addEventListener('dragover', (event) => {
    event.preventDefault(); // without it the browser would leave the page for the photo
    mark(true);
  });
  addEventListener('dragleave', (event) => { if (!event.relatedTarget) mark(false); });
  addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    bring(event.dataTransfer, add);
  });
}

function bring(transfer, add) {
  const files = [...transfer.files];
  const text = transfer.getData('text/uri-list') || transfer.getData('text/plain');
  const addresses = text.split(/\s+/).filter(isAddress);
  if (files.length) add(files);
  else if (addresses.length) add(addresses);
  return files.length + addresses.length > 0;
}

function watchAddress(add) {
  const [form, field, problem] = [byId('url-form'), byId('url'), byId('url-problem')];
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const address = field.value.trim();
    const good = isAddress(address);
    say(problem, good ? '' : 'Type an address that begins with http:// or https://.');
    field.setAttribute('aria-invalid', !good);
    if (!good) return;
    field.value = '';
    add([address]);
  });
}

const isAddress = (text) => /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
