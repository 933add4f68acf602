/** Who has not signed in where that is needed signs in first, and comes back to the page they wanted. */
import type { Router } from "vue-router";
import { useSession } from "./sessionStore";
import { wayBack } from "./ways";

export function guard(router: Router): void {
  const session = useSession();
  router.beforeEach((to) => {
    const isDoor = to.name === "sign-in";
    if (session.signedOut && !isDoor) return { name: "sign-in", query: { back: to.fullPath } };
    if (isDoor && session.name !== null) return wayBack(to.query.back);
    return true;
  });
  session.whenEnded(() => {
    // Afresh: nothing of what was shown stays, and no connection.
    const back = encodeURIComponent(router.currentRoute.value.fullPath);
    location.assign(`/sign-in?ended=1&back=${back}`);
  });
}
