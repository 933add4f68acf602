/** Where a page leads that somebody may not see, or not yet. */

/** Only to read paths by: no server has this name. */
const BASE = "http://console.invalid";

/**
 * The page that was wanted before signing in: one of this server, whatever the address says. It is read as a
 * browser reads it, which drops tabs and ends of lines, and answered as it was read.
 */
export function wayBack(wanted: unknown): string {
  if (typeof wanted !== "string" || !wanted.startsWith("/")) return "/";
  let url: URL;
  try {
    url = new URL(wanted, BASE);
  } catch {
    return "/";
  }
  const elsewhere = url.origin !== BASE || url.pathname.startsWith("//");
  return elsewhere || url.pathname === "/sign-in" ? "/" : url.pathname + url.search + url.hash;
}

/** Whether of all that somebody may do nothing shows on these pages. */
export function showsNothing(grants: readonly string[]): boolean {
  return grants.every((grant) => /^(subscribe|publish):/.test(grant));
}
