/**
 * English and Vietnamese. A language is loaded when it is first needed; the choice is remembered, the
 * browser's own is the default.
 */
import { createI18n } from "vue-i18n";
import type { Messages } from "./en";

export const LOCALES = ["en", "vi"] as const;
export type Locale = (typeof LOCALES)[number];

const KEY = "anywire-locale";
const loaders: Record<Locale, () => Promise<{ messages: Messages }>> = {
  en: () => import("./en"),
  vi: () => import("./vi"),
};

/** The first language of `wanted` that we have; English without one. */
export function chooseLocale(remembered: string | null, wanted: readonly string[]): Locale {
  if (remembered === "en" || remembered === "vi") return remembered;
  for (const language of wanted) {
    const short = language.slice(0, 2).toLowerCase();
    if (short === "vi" || short === "en") return short;
  }
  return "en";
}

export const i18n = createI18n({ legacy: false, locale: "en", fallbackLocale: "en", missingWarn: false, messages: {} });

export async function setLocale(locale: Locale): Promise<void> {
  const { messages } = await loaders[locale]();
  i18n.global.setLocaleMessage(locale, messages);
  i18n.global.locale.value = locale;
  document.documentElement.lang = locale;
}

export function remember(locale: Locale): void {
  localStorage.setItem(KEY, locale);
}

export function startLocale(): Promise<void> {
  return setLocale(chooseLocale(localStorage.getItem(KEY), navigator.languages));
}
