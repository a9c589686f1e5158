// Calls to the service. The token goes into a header, never into an address.
import { renewToken, token } from './token.js';

const BASE = new URL('api/v1/', document.baseURI);

/** What the service said no with: a sentence, and a code. */
export class ApiError extends Error {
  constructor(detail, code, status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

/** Nobody answers there. */
export class Unreachable extends ApiError {
  constructor() {
    super('The server does not answer.', 'unreachable');
  }
}

/**
 * Send a request and return the answer, which is a good one. Rejects with an ApiError or, aborted, AbortError.
 * `timeoutMs` is for the server's answer; the time that a person takes to type the token does not count.
 */
export async function request(path, { timeoutMs, ...init } = {}) {
  for (;;) {
    const sent = token();
    const headers = { ...init.headers, ...(sent && { Authorization: `Bearer ${sent}` }) };
    const signal = timeoutMs ? AbortSignal.timeout(timeoutMs) : init.signal;
    const answer = await reached(fetch(new URL(path, BASE), { cache: 'no-store', ...init, signal, headers }));
    if (answer.status !== 401 || !(await renewToken(sent))) return checked(answer);
  }
}

export const get = async (path, signal, timeoutMs) => json(await request(path, { signal, timeoutMs }));
export const post = async (path, body, signal) => json(await request(path, { method: 'POST', body, signal }));
export const remove = async (path) => json(await request(path, { method: 'DELETE' }));

/** POST a value as JSON. */
export async function postJson(path, value, signal) {
  const headers = { 'Content-Type': 'application/json' };
  return json(await request(path, { method: 'POST', headers, body: JSON.stringify(value), signal }));
}

/** Fetch one of the service's files: its bytes, and the name to save it under. */
export async function file(id, signal) {
  const answer = await request(`files/${id}`, { signal });
  return { blob: await reached(answer.blob()), name: nameIn(answer.headers.get('Content-Disposition')) };
}

async function reached(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable();
  }
}

async function checked(answer) {
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new ApiError(told.detail ?? `The server answered ${answer.status}.`, told.code ?? 'bad_answer', answer.status);
}

const json = (answer) => reached(answer.json());

function nameIn(disposition) {
  const encoded = /filename\*=utf-8''([^;]+)/i.exec(disposition ?? '');
  if (encoded) return decodeURIComponent(encoded[1]);
  return /filename="([^"]+)"/i.exec(disposition ?? '')?.[1] ?? 'cutout.png';
}
