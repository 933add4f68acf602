/** How a job's status looks: an icon and a colour token beside its word. */
import type { IconName } from "@/shared/icons";
import type { JobStatus } from "@/shared/wire";

const LOOK: Record<JobStatus, { icon: IconName; colour: string }> = {
  queued: { icon: "clock", colour: "var(--text-3)" },
  running: { icon: "play", colour: "var(--ws)" },
  succeeded: { icon: "check", colour: "var(--ok)" },
  failed: { icon: "alert", colour: "var(--bad)" },
  cancelled: { icon: "stop", colour: "var(--text-3)" },
  interrupted: { icon: "power", colour: "var(--warn)" },
};

export function statusIcon(status: JobStatus): IconName {
  return LOOK[status]?.icon ?? "help";
}

export function statusColour(status: JobStatus): string {
  return LOOK[status]?.colour ?? "var(--text-3)";
}
