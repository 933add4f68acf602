import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { router } from "./router";
import { reloadOnMissingParts } from "./shared/chunks";
import { i18n, startLocale } from "./shared/i18n";
import "./shared/styles.css";

reloadOnMissingParts();
await startLocale();
createApp(App).use(createPinia()).use(i18n).use(router).mount("#app");
