// The host application that embeds the page, such as Electron; it can start and stop the server (docs/embedding.md).

/**
 * @typedef {object} Host
 * @property {() => Promise<string>} status "running", "stopped", "starting", "unreachable" or "failed"
 * @property {() => Promise<void>} start rejects with an Error whose message is shown to the user
 * @property {() => Promise<void>} stop
 * @property {(callback: (status: string) => void) => void} onStatus
 */

/** @type {Host | null} */
export const host = window.bgremoveHost ?? null;
