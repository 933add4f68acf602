/** Addresses. Each page is a chunk of its own; the server answers all of them with `index.html`. */
import { createRouter, createWebHistory } from "vue-router";
import { useSession } from "./access/sessionStore";

/** Where somebody begins: the first page that they may see. */
export function firstPage(may: (grant: string) => boolean): string {
  const pages = {
    "/overview": "server:read",
    "/jobs": "jobs:read",
    "/monitor": "monitor:read",
    "/pipeline": "pipeline:read",
  };
  return Object.entries(pages).find(([, grant]) => may(grant))?.[0] ?? "/overview";
}

export const router = createRouter({
  history: createWebHistory("/"),
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? undefined : { top: 0 }),
  routes: [
    { path: "/", redirect: () => firstPage((grant) => useSession().may(grant)) },
    {
      path: "/overview",
      name: "overview",
      component: () => import("./overview/OverviewPage.vue"),
      meta: { title: "app.overview", grant: "server:read" },
    },
    {
      path: "/jobs",
      name: "jobs",
      component: () => import("./apps/jobs/JobsPage.vue"),
      meta: { title: "app.jobs", grant: "jobs:read" },
    },
    {
      path: "/jobs/video/chat",
      name: "video",
      component: () => import("./apps/jobs/VideoChatPage.vue"),
      meta: { title: "video.title", grant: "jobs:read" },
    },
    {
      path: "/jobs/:id",
      name: "job",
      component: () => import("./apps/jobs/JobPage.vue"),
      props: true,
      meta: { title: "app.jobs", grant: "jobs:read" },
    },
    {
      path: "/monitor",
      name: "monitor",
      component: () => import("./apps/monitor/MonitorPage.vue"),
      meta: { title: "app.monitor", grant: "monitor:read" },
    },
    {
      path: "/pipeline",
      name: "pipeline",
      component: () => import("./apps/pipeline/PipelinePage.vue"),
      meta: { title: "app.pipeline", grant: "pipeline:read" },
    },
    {
      path: "/delivery",
      name: "delivery",
      component: () => import("./delivery/DeliveryPage.vue"),
      meta: { title: "app.delivery", grant: "server:read" },
    },
    {
      path: "/sign-in",
      name: "sign-in",
      component: () => import("./access/SignInPage.vue"),
      meta: { title: "access.signIn", bare: true },
    },
    {
      path: "/:rest(.*)*",
      name: "missing",
      component: () => import("./shared/MissingPage.vue"),
      meta: { title: "app.notFoundTitle" },
    },
  ],
});
