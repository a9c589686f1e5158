// HTTP client of the service's API. Sends the token in a header, never in a URL.
import { renewToken, token } from './token.js';

const BASE = new URL('api/v1/', document.baseURI);

/** An error response of the service: its message, code and HTTP status. */
export class ApiError extends Error {
  constructor(detail, code, status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

/** The server cannot be reached, or its response was cut off. */
export class Unreachable extends ApiError {
  constructor() {
    super('The server does not respond.', 'unreachable');
  }
}

/**
 * Send a request and return the successful response. Rejects with ApiError or, when aborted, AbortError.
 * `timeoutMs` is for the server's response; it does not include the time in which the user enters a token.
 */
export async function request(path, { timeoutMs, ...init } = {}) {
  for (;;) {
    const currentToken = token();
    const headers = { ...init.headers, ...(currentToken && { Authorization: `Bearer ${currentToken}` }) };
    const signal = timeoutMs ? AbortSignal.timeout(timeoutMs) : init.signal;
    const response = await toApiErrors(fetch(new URL(path, BASE), { cache: 'no-store', ...init, signal, headers }));
    if (response.status !== 401 || !(await renewToken(currentToken))) return checkStatus(response);
  }
}

export const get = async (path, signal, timeoutMs) => parseJson(await request(path, { signal, timeoutMs }));
export const post = async (path, body, signal, headers) => parseJson(await request(path, { method: 'POST', body, signal, headers }));
export const remove = async (path) => parseJson(await request(path, { method: 'DELETE' }));

/** POST a value as JSON. */
export const postJson = (path, value, signal, headers) =>
  post(path, JSON.stringify(value), signal, { ...headers, 'Content-Type': 'application/json' });

/** Download one of the service's files: its bytes and its file name. */
export async function downloadFile(id, signal) {
  const response = await request(`files/${id}`, { signal });
  const blob = await toApiErrors(response.blob());
  return { blob, name: parseFileName(response.headers.get('Content-Disposition')) };
}

async function toApiErrors(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable();
  }
}

async function checkStatus(response) {
  if (response.ok) return response;
  const { status } = response;
  const body = await response.json().catch(() => ({}));
  throw new ApiError(body.detail ?? `The server responded with HTTP status ${status}.`, body.code ?? 'bad_answer', status);
}

const parseJson = (response) => toApiErrors(response.json());

function parseFileName(disposition) {
  const encoded = /filename\*=utf-8''([^;]+)/i.exec(disposition ?? '');
  if (encoded) return decodeURIComponent(encoded[1]);
  return /filename="([^"]+)"/i.exec(disposition ?? '')?.[1] ?? 'cutout.png';
}
