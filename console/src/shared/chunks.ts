/**
 * Parts of the page that could not be loaded: the server was restarting, or has a newer console now.
 *
 * The page is loaded again as soon as the server answers; until then it stays as it is, since a reload
 * without a server would end on the browser's error page.
 */

const RETRY_MS = 1000;

async function answers(): Promise<boolean> {
  try {
    return (await fetch("/api/health/live", { signal: AbortSignal.timeout(4000) })).ok;
  } catch {
    return false;
  }
}

async function reloadWhenAnswered(): Promise<void> {
  while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  location.reload();
}

/** Loads the page again when one of its parts is missing. */
export function reloadOnMissingParts(): void {
  window.addEventListener("vite:preloadError", () => setTimeout(() => void reloadWhenAnswered(), RETRY_MS), {
    once: true,
  });
}
