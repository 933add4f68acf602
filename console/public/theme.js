// Runs before the first paint, so that a remembered theme and language do not flash.
// A file and not an inline script, so that a strict content security policy can stay strict.
(() => {
  const root = document.documentElement;
  let theme = null;
  let locale = null;
  try {
    theme = localStorage.getItem("anywire-theme");
    locale = localStorage.getItem("anywire-locale");
  } catch {
    // Storage may be forbidden; the system's choice is used then.
  }
  if (theme !== "light" && theme !== "dark") {
    theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  root.dataset.theme = theme;
  if (locale === "en" || locale === "vi") root.lang = locale;
})();
