/** Waiting for conditions. No test asserts how long anything took: the limit only ends a hang. */

export const PATIENCE_MS = 120_000;

/** Thrown by what is asked when the answer will never come: the waiting ends at once. */
export class Hopeless extends Error {}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is neither false nor nothing; an answer that throws counts as nothing, unless it is `Hopeless`, and is named at the end. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const end = Date.now() + patienceMs;
  let last: unknown = "nothing yet";
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== undefined) return answer as NonNullable<T>;
      last = answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain until ${what}; at the end: ${String(last)}`);
    await sleep(20);
  }
}

/** A promise that must not take for ever. */
export async function within<T>(what: string, promise: Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes for ever`)), patienceMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
