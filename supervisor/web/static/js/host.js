// The application around the page, where there is one: it may start and stop the server (README, "The page").

/**
 * @typedef {object} Host
 * @property {() => Promise<string>} status "running", "stopped", "starting", "unreachable" or "failed"
 * @property {() => Promise<void>} start rejects with an Error whose message is for the person
 * @property {() => Promise<void>} stop
 * @property {(callback: (status: string) => void) => void} onStatus
 */

/** @type {Host | null} */
export const host = window.bgremoveHost ?? null;
