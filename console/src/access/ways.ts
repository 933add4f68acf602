/** Where a page leads that somebody may not see, or not yet. */

/** The page that was wanted before signing in: one of this server, whatever the address says. */
export function wayBack(wanted: unknown): string {
  return typeof wanted === "string" && /^\/(?![/\\])/.test(wanted) && !wanted.startsWith("/sign-in") ? wanted : "/";
}

/** Whether of all that somebody may do nothing shows on these pages. */
export function showsNothing(grants: readonly string[]): boolean {
  return grants.every((grant) => /^(subscribe|publish):/.test(grant));
}
