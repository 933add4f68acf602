/** Videos as jobs: what was asked, and which addresses may be shown. Pure. */
import type { JobState } from "@/shared/wire";

/** What the person wrote. */
export function askedFor(job: JobState): string {
  const { command } = job;
  const message = command?.order === "configured" ? command.parameters?.message : undefined;
  return message ?? job.title;
}

/** Only a file of this very job: a result is data that anybody with a key may write. */
export function ownFile(job: JobState, url: string | undefined): string | null {
  const own = `/api/jobs/${job.session_id}/files/`;
  if (!url?.startsWith(own) || url.slice(own.length).includes("/")) return null;
  // A retry makes other files under the same names.
  return `${url}?attempt=${job.attempt ?? 0}`;
}
