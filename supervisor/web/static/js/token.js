// The service's token, where it wants one: asked for once, kept for this tab only.
import { byId } from './dom.js';

const KEY = 'bgremove-token';
const SENDABLE = /^[\x21-\x7e]+$/;
let asking = null;

/** The token to send, or null. */
export const token = () => sessionStorage.getItem(KEY);

/**
 * Ask the person for the token, after `refused` (or none, null) was not accepted.
 * Resolves to whether there is another one to try; callers at the same time share one question.
 */
export function renewToken(refused) {
  if (token() !== refused) return Promise.resolve(true); // somebody has asked in the meantime
  asking ??= ask(refused !== null).finally(() => { asking = null; });
  return asking;
}

function ask(wasRefused) {
  const [dialog, form, field] = [byId('token-dialog'), byId('token-form'), byId('token')];
  const problem = byId('token-problem');
  problem.hidden = !wasRefused;
  field.value = '';
  dialog.returnValue = '';
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      const given = field.value.trim();
      if (SENDABLE.test(given)) {
        sessionStorage.setItem(KEY, given);
        dialog.close('given');
      } else {
        problem.hidden = false;
      }
      event.preventDefault();
    };
    dialog.onclose = () => resolve(dialog.returnValue === 'given');
    dialog.showModal();
  });
}
