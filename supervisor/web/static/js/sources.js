// Sources of photos: file chooser, drag and drop, paste, and URL.
import { byId, setText } from './dom.js';

const TEXT_FIELDS = 'input:not([type=range], [type=radio], [type=checkbox], [type=color], [type=file])';

/** Call `submit` with the Files, or the URLs, that the user provides. */
export function listenForPhotos(submit) {
  const picker = byId('files');
  for (const id of ['choose', 'add']) byId(id).addEventListener('click', () => picker.click());
  picker.addEventListener('change', () => {
    submit([...picker.files]);
    picker.value = ''; // else choosing the same file again would emit no event
  });
  listenForDrops(submit);
  document.addEventListener('paste', (event) => {
    // Text is pasted into the focused field; files go to the page.
    if (!event.clipboardData.files.length && event.target.closest?.(TEXT_FIELDS)) return;
    if (submitTransfer(event.clipboardData, submit)) event.preventDefault();
  });
  listenForUrls(submit);
}

function listenForDrops(submit) {
  const highlight = (on) => document.body.classList.toggle('dragging', on);
  addEventListener('dragover', (event) => {
    event.preventDefault(); // allows the drop; else the browser would open the file
    highlight(true);
  });
  addEventListener('dragleave', (event) => { if (!event.relatedTarget) highlight(false); });
  addEventListener('drop', (event) => {
    event.preventDefault();
    highlight(false);
    submitTransfer(event.dataTransfer, submit);
  });
}

/** Submit the files, else the URLs, of a DataTransfer. Returns whether there were any. */
function submitTransfer(transfer, submit) {
  const files = [...transfer.files];
  const text = transfer.getData('text/uri-list') || transfer.getData('text/plain');
  const urls = text.split(/\s+/).filter(isWebUrl);
  if (files.length) submit(files);
  else if (urls.length) submit(urls);
  return files.length + urls.length > 0;
}

function listenForUrls(submit) {
  const [form, field, problem] = [byId('url-form'), byId('url'), byId('url-problem')];
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const url = field.value.trim();
    const valid = isWebUrl(url);
    setText(problem, valid ? '' : 'Enter a URL that begins with http:// or https://.');
    field.setAttribute('aria-invalid', !valid);
    if (!valid) return;
    field.value = '';
    submit([url]);
  });
}

const isWebUrl = (text) => /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
