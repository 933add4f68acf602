import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { guard } from "./access/guard";
import { useSession } from "./access/sessionStore";
import { router } from "./router";
import { reloadOnMissingParts } from "./shared/chunks";
import { i18n, startLocale } from "./shared/i18n";
import "./shared/styles.css";

reloadOnMissingParts();
await startLocale();
const app = createApp(App).use(createPinia()).use(i18n);
// Before the first page: whoever has to sign in sees nothing else.
await useSession().load();
guard(router);
app.use(router);
await router.isReady();
app.mount("#app");
