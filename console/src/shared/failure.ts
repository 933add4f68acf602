/**
 * What went wrong, for people: by the error's code in their own language, with the server's words, which name
 * the thing and its value, as a detail.
 */
import { useMessage } from "naive-ui";
import { h } from "vue";
import { useI18n } from "vue-i18n";
import { ApiError } from "./api";

export interface Failure {
  text: string;
  /** The server's own words, in English. */
  detail: string | null;
}

interface Language {
  t: (key: string, values?: Record<string, string>) => string;
  te: (key: string) => boolean;
}

export function failureOf(cause: unknown, { t, te }: Language): Failure {
  if (!(cause instanceof ApiError)) return { text: t("error.other", { message: String(cause) }), detail: null };
  const known = te(`error.${cause.code}`);
  // What a browser says of a network that is down helps nobody.
  const detail = cause.status === 0 || cause.message === "" ? null : cause.message;
  if (known) return { text: t(`error.${cause.code}`), detail };
  return { text: t("error.other", { message: detail ?? cause.code }), detail: null };
}

const PATIENCE_MS = 8000;

/** For components: words for an error, and a note of one. */
export function useFailures() {
  const { t, te } = useI18n();
  const message = useMessage();
  const words = (cause: unknown): Failure => failureOf(cause, { t, te });

  function tell(cause: unknown): void {
    const { text, detail } = words(cause);
    const below = detail === null ? [] : [h("br"), h("small", { lang: "en" }, detail)];
    message.error(() => h("span", { style: "overflow-wrap: anywhere" }, [text, ...below]), { duration: PATIENCE_MS });
  }

  return { words, tell };
}
