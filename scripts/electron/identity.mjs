// @ts-check
/**
 * Tells a bgremove that answers on a port of this machine from others.
 *
 * @typedef {{ port: number, pid: number, version: string }} Identity `pid` is the service's own: on Windows,
 *   the python.exe of .venv only starts another
 */
import { ServiceError, parsed } from './child.mjs';

export const HOST = '127.0.0.1'; // whatever BGREMOVE_HOST says: an application's child is not for the network
const ANSWER_MS = 3000;

/**
 * Who answers there, if it is a bgremove. Rejects with a ServiceError.
 * @param {number} port @param {string} [token] @returns {Promise<Identity>}
 */
export async function identify(port, token) {
  await checkHealth(port);
  const { status, body } = await ask(port, 'status', token);
  if (status === 401) throw new ServiceError('wrong_token', 'the bgremove there wants another token');
  if (!Number.isInteger(body?.server?.pid) || !body.worker || !body.queue) throw stranger(`status ${status}`);
  return { port, pid: body.server.pid, version: body.server.version };
}

/** Resolves where a bgremove answers. Rejects with a ServiceError. @param {number} port */
export async function checkHealth(port) {
  const { status, body } = await ask(port, 'health');
  const known = body?.status === 'ok' && typeof body.version === 'string' && typeof body.uptime_s === 'number';
  if (!known) throw stranger(`status ${status}`);
}

/** @param {number} port @param {'health' | 'status'} what @param {string} [token] */
async function ask(port, what, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : undefined;
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    const answer = await fetch(`http://${HOST}:${port}/api/v1/${what}`, { headers, signal, redirect: 'error' });
    return { status: answer.status, body: parsed(await answer.text()) };
  } catch (error) {
    const reason = error.cause?.code ?? error.cause?.message ?? error.message;
    throw reason === 'ECONNREFUSED' ? new ServiceError('no_answer', 'nothing answers there') : stranger(reason);
  }
}

/** @param {string} said */
function stranger(said) {
  return new ServiceError('not_bgremove', `what answers there is not bgremove (${said})`);
}
