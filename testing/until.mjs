/** Waiting for conditions. No test asserts how long anything took: the limit only ends a hang. */

export const PATIENCE_MS = 120_000;
const PAUSE_MS = 20;

/** Thrown by what is asked when the answer will never come: the waiting ends at once. */
export class Hopeless extends Error {}

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Asks until the answer is neither false nor nothing. An answer that throws counts as nothing, unless it is
 * {@link Hopeless}; the last one is named when time is up.
 *
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} ask
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, ask, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  /** @type {unknown} */
  let last = "nothing yet";
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== undefined) return answer;
      last = answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain until ${what}; at the end: ${String(last)}`);
    await sleep(PAUSE_MS);
  }
}

/**
 * A promise that must not take for ever.
 *
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
export async function within(what, promise, patienceMs = PATIENCE_MS) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const limit = /** @type {Promise<never>} */ (
    new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} takes longer than ${patienceMs} ms`)), patienceMs);
    })
  );
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
