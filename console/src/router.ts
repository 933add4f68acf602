/** Addresses. Each page is a chunk of its own; the server answers all of them with `index.html`. */
import { createRouter, createWebHistory } from "vue-router";

export const router = createRouter({
  history: createWebHistory("/"),
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? undefined : { top: 0 }),
  routes: [
    { path: "/", redirect: "/overview" },
    {
      path: "/overview",
      name: "overview",
      component: () => import("./overview/OverviewPage.vue"),
      meta: { title: "app.overview" },
    },
    { path: "/jobs", name: "jobs", component: () => import("./apps/jobs/JobsPage.vue"), meta: { title: "app.jobs" } },
    {
      path: "/jobs/video/chat",
      name: "video",
      component: () => import("./apps/jobs/VideoChatPage.vue"),
      meta: { title: "video.title" },
    },
    {
      path: "/jobs/:id",
      name: "job",
      component: () => import("./apps/jobs/JobPage.vue"),
      props: true,
      meta: { title: "app.jobs" },
    },
    {
      path: "/monitor",
      name: "monitor",
      component: () => import("./apps/monitor/MonitorPage.vue"),
      meta: { title: "app.monitor" },
    },
    {
      path: "/pipeline",
      name: "pipeline",
      component: () => import("./apps/pipeline/PipelinePage.vue"),
      meta: { title: "app.pipeline" },
    },
    {
      path: "/delivery",
      name: "delivery",
      component: () => import("./delivery/DeliveryPage.vue"),
      meta: { title: "app.delivery" },
    },
    {
      path: "/:rest(.*)*",
      name: "missing",
      component: () => import("./shared/MissingPage.vue"),
      meta: { title: "app.notFoundTitle" },
    },
  ],
});
