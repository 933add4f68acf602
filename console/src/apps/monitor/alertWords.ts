/** What an alert says, in the current language. */
import { useI18n } from "vue-i18n";
import { formatTick } from "@/shared/format";
import type { Alert } from "./wire";

/** Seconds since a host was last heard of: an alert about it has words of its own. */
export const SILENCE = "silence";

export function useAlertWords() {
  const { t, te, locale } = useI18n();
  const nameOf = (figure: string) => (te(`monitor.figure.${figure}`) ? t(`monitor.figure.${figure}`) : figure);

  function standing({ figure, value, host }: Alert): string {
    if (figure === SILENCE) return t("monitor.silentWords", { host });
    return t("monitor.alertWords", { figure: nameOf(figure), value: formatTick(value, locale.value), host });
  }

  /** Why it is over: not always since its figure is well again. */
  function over({ figure, host, ended_by: by }: Alert): string {
    if (figure === SILENCE && !by) return t("monitor.heardAgain", { host });
    return t(`monitor.endedBy.${by ?? "figure"}`, { figure: nameOf(figure), host });
  }

  return { nameOf, standing, over };
}
