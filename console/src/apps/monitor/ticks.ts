/** The words beside a time axis: as fine as its span needs, in the reader's zone. Pure. */

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, kind: "second" | "minute" | "day"): Intl.DateTimeFormat {
  const key = `${locale} ${kind}`;
  let found = formats.get(key);
  if (!found) {
    const time = { hour: "2-digit", minute: "2-digit", hour12: false } as const;
    const options: Intl.DateTimeFormatOptions =
      kind === "second"
        ? { ...time, second: "2-digit" }
        : kind === "minute"
          ? time
          : { day: "numeric", month: "numeric" };
    found = new Intl.DateTimeFormat(locale, options);
    formats.set(key, found);
  }
  return found;
}

const MINUTES_15 = 900;
const DAYS_3 = 3 * 86_400;

/** `seconds` since 1970; a midnight on a span of hours is named by its day. */
export function timeTicks(seconds: readonly number[], spanSeconds: number, locale: string): string[] {
  const kind = spanSeconds <= MINUTES_15 ? "second" : "minute";
  return seconds.map((second) => {
    const date = new Date(second * 1000);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    return format(locale, spanSeconds > DAYS_3 || midnight ? "day" : kind).format(date);
  });
}
