/**
 * Numbers, sizes and times as text.
 *
 * Pure: the locale and "now" are arguments. A missing value is an en dash, never a zero.
 */

export const MISSING = "–";

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes in decimal units with three significant digits: `52.4 MB`. */
export function formatBytes(bytes: number | null | undefined, locale: string): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return MISSING;
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${significant(value, unit === 0 ? 0 : undefined, locale)} ${BYTE_UNITS[unit]}`;
}

/** A whole number with the locale's grouping. */
export function formatCount(value: number | null | undefined, locale: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }).format(value);
}

/** A number beside an axis: as many digits as it has. */
export function formatTick(value: number, locale: string): string {
  return new Intl.NumberFormat(locale, { maximumSignificantDigits: 6 }).format(value);
}

/** A rate with one digit below 100 and none above. */
export function formatRate(value: number | null | undefined, locale: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const digits = Math.abs(value) < 100 ? 1 : 0;
  return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** Milliseconds with three significant digits: `0.84 ms`, `12.3 ms`, `1.25 s`. */
export function formatLatency(ms: number | null | undefined, locale: string): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return MISSING;
  if (ms >= 999.5) return `${significant(ms / 1000, undefined, locale)} s`;
  return `${significant(ms, undefined, locale)} ms`;
}

/** How long something took or takes: `340 ms`, `4.2 s`, `3 m 05 s`, `2 h 07 m`, `3 d 04 h`. */
export function formatDuration(ms: number | null | undefined, locale: string): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return MISSING;
  const value = Math.max(0, ms);
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 59_950) {
    const seconds = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    return `${seconds.format(value / 1000)} s`;
  }
  const total = Math.round(value / 1000);
  if (total < 3600) return pair(Math.floor(total / 60), "m", total % 60, "s");
  if (total < 86_400) return pair(Math.floor(total / 3600), "h", Math.floor((total % 3600) / 60), "m");
  return pair(Math.floor(total / 86_400), "d", Math.floor((total % 86_400) / 3600), "h");
}

/** The age of something in whole units, as short as a badge needs: `0 s`, `59 s`, `4 m`, `2 h`, `3 d`. */
export function formatAge(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return MISSING;
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The time of day to the second, in the reader's zone. */
export function formatClock(time: number | string | null | undefined, locale: string): string {
  const date = toDate(time);
  if (!date) return MISSING;
  return new Intl.DateTimeFormat(locale, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hour12: false,
  }).format(date);
}

/** Date and time of day, in the reader's zone. */
export function formatDateTime(time: number | string | null | undefined, locale: string): string {
  const date = toDate(time);
  if (!date) return MISSING;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", hour12: false }).format(date);
}

/** "3 minutes ago", in the locale's words. */
export function formatAgo(time: number | string | null | undefined, now: number, locale: string): string {
  const date = toDate(time);
  if (!date) return MISSING;
  const seconds = Math.round((date.getTime() - now) / 1000);
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  if (Math.abs(seconds) < 60) return words.format(Math.min(0, seconds), "second");
  if (Math.abs(seconds) < 3600) return words.format(Math.trunc(seconds / 60), "minute");
  if (Math.abs(seconds) < 86_400) return words.format(Math.trunc(seconds / 3600), "hour");
  return words.format(Math.trunc(seconds / 86_400), "day");
}

function toDate(time: number | string | null | undefined): Date | null {
  if (time === null || time === undefined) return null;
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? null : date;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return `${large} ${largeUnit} ${String(small).padStart(2, "0")} ${smallUnit}`;
}

/** Three significant digits, trailing zeros kept so that a live figure keeps its width. */
function significant(value: number, digits: number | undefined, locale: string): string {
  const size = Math.abs(value);
  const fraction = digits ?? (size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
  return new Intl.NumberFormat(locale, { minimumFractionDigits: fraction, maximumFractionDigits: fraction }).format(
    value,
  );
}
