// @ts-check
/**
 * Checks that the server on a local port is a bgremove.
 *
 * @typedef {{ port: number, pid: number, version: string }} Identity `pid` is that of the supervisor: on Windows,
 *   the python.exe of .venv is a launcher with another one
 */
import { ServiceError, parseJson } from './service-process.mjs';

export const HOST = '127.0.0.1'; // in spite of BGREMOVE_HOST: an embedded service is not for the network
const TIMEOUT_MS = 3000;

/**
 * Resolves to the identity of the bgremove on that port. Rejects with a ServiceError.
 * @param {number} port @param {string} [token] @returns {Promise<Identity>}
 */
export async function identify(port, token) {
  await checkHealth(port);
  const { status, body } = await get(port, 'status', token);
  if (status === 401) throw new ServiceError('wrong_token', 'the bgremove there requires another token');
  if (!Number.isInteger(body?.server?.pid) || !body.worker || !body.queue) throw notBgremove(`status ${status}`);
  return { port, pid: body.server.pid, version: body.server.version };
}

/** Resolves if a bgremove answers there. Rejects with a ServiceError. @param {number} port */
export async function checkHealth(port) {
  const { status, body } = await get(port, 'health');
  const valid = body?.status === 'ok' && typeof body.version === 'string' && typeof body.uptime_s === 'number';
  if (!valid) throw notBgremove(`status ${status}`);
}

/** @param {number} port @param {'health' | 'status'} route @param {string} [token] */
async function get(port, route, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : undefined;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const url = `http://${HOST}:${port}/api/v1/${route}`;
    const response = await fetch(url, { headers, signal, redirect: 'error' });
    return { status: response.status, body: parseJson(await response.text()) };
  } catch (error) {
    const cause = error.cause?.code ?? error.cause?.message ?? error.message;
    throw cause === 'ECONNREFUSED' ? new ServiceError('no_answer', 'nothing listens there') : notBgremove(cause);
  }
}

/** @param {string} cause */
function notBgremove(cause) {
  return new ServiceError('not_bgremove', `the server there is not bgremove (${cause})`);
}
