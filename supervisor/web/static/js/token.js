// Access token: requested by a dialog, stored in sessionStorage for this tab only.
import { byId } from './dom.js';

const KEY = 'bgremove-token';
const HEADER_SAFE = /^[\x21-\x7e]+$/;
let openPrompt = null;

/** The stored token, or null. */
export const token = () => sessionStorage.getItem(KEY);

/**
 * Ask the user for a token after `rejected` (null for none) was refused.
 * Resolves to whether there is a new token to try; concurrent callers share one dialog.
 */
export function renewToken(rejected) {
  if (token() !== rejected) return Promise.resolve(true); // another call has renewed it meanwhile
  openPrompt ??= promptForToken(rejected !== null).finally(() => { openPrompt = null; });
  return openPrompt;
}

function promptForToken(wasRejected) {
  const [dialog, form, field] = [byId('token-dialog'), byId('token-form'), byId('token')];
  const problem = byId('token-problem');
  problem.hidden = !wasRejected;
  field.value = '';
  dialog.returnValue = '';
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      const value = field.value.trim();
      if (HEADER_SAFE.test(value)) {
        sessionStorage.setItem(KEY, value);
        dialog.close('entered');
      } else {
        problem.hidden = false;
      }
      event.preventDefault();
    };
    dialog.onclose = () => resolve(dialog.returnValue === 'entered');
    dialog.showModal();
  });
}
