/**
 * Dark and light: follows the system until a person chooses, and remembers the choice.
 *
 * The tokens are in styles.css; naive-ui computes shades from its colours and can't read CSS variables, so
 * the few it needs are repeated here.
 */
import { usePreferredDark, useStorage } from "@vueuse/core";
import type { GlobalThemeOverrides } from "naive-ui";
import { computed, watchEffect } from "vue";

export type ThemeChoice = "auto" | "light" | "dark";
export const THEME_CHOICES: readonly ThemeChoice[] = ["auto", "light", "dark"];

/** The choice after this one, for a button that goes round. */
export function nextChoice(choice: ThemeChoice): ThemeChoice {
  return THEME_CHOICES[(THEME_CHOICES.indexOf(choice) + 1) % THEME_CHOICES.length] ?? "auto";
}

const choice = useStorage<ThemeChoice>("anywire-theme", "auto");
const systemDark = usePreferredDark();
const isDark = computed(() => (choice.value === "auto" ? systemDark.value : choice.value === "dark"));

export function useTheme() {
  watchEffect(() => {
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
  });
  return { choice, isDark, cycle: () => (choice.value = nextChoice(choice.value)) };
}

interface Palette {
  accent: string;
  accentHover: string;
  accentPressed: string;
  surface: string;
  surface2: string;
  line: string;
  text: string;
  text2: string;
  text3: string;
  bad: string;
  onAccent: string;
}

const LIGHT: Palette = {
  accent: "#0b7a6b",
  accentHover: "#0d8c7b",
  accentPressed: "#096558",
  surface: "#ffffff",
  surface2: "#f0f2f5",
  line: "#cdd4dc",
  text: "#17202a",
  text2: "#4c5866",
  text3: "#5d6976",
  bad: "#b8322a",
  onAccent: "#ffffff",
};

const DARK: Palette = {
  accent: "#40c7af",
  accentHover: "#5ad6c0",
  accentPressed: "#33a995",
  surface: "#161c24",
  surface2: "#1d252f",
  line: "#3a4653",
  text: "#e7ecf2",
  text2: "#aeb9c5",
  text3: "#909caa",
  bad: "#ff8379",
  onAccent: "#06231e",
};

export function overrides(dark: boolean): GlobalThemeOverrides {
  const p = dark ? DARK : LIGHT;
  return {
    common: {
      primaryColor: p.accent,
      primaryColorHover: p.accentHover,
      primaryColorPressed: p.accentPressed,
      primaryColorSuppl: p.accentHover,
      errorColor: p.bad,
      errorColorHover: p.bad,
      bodyColor: "transparent",
      cardColor: p.surface,
      modalColor: p.surface,
      popoverColor: p.surface,
      borderColor: p.line,
      textColorBase: p.text,
      textColor1: p.text,
      textColor2: p.text,
      textColor3: p.text2,
      placeholderColor: p.text3,
      borderRadius: "7px",
      fontFamily: "var(--sans)",
      fontFamilyMono: "var(--mono)",
      fontWeightStrong: "600",
    },
    Button: {
      textColorPrimary: p.onAccent,
      textColorHoverPrimary: p.onAccent,
      textColorPressedPrimary: p.onAccent,
      textColorFocusPrimary: p.onAccent,
      fontWeight: "500",
    },
    Switch: { railColor: p.line },
  };
}
