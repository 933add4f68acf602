/**
 * People at the console of a server with keys: they sign in, see what their role may, and are out within
 * moments when an admin takes that back.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { byId, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { transportIs } from "../../harness/console.ts";
import { tell } from "../../harness/evidence.ts";
import { API_KEY, KEYS } from "../../harness/token.ts";

const PASSWORD = "correct horse battery";

let server: Server;
let browser: Browser;
const pages: Page[] = [];

async function ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(answer.ok, `${method} ${path}: ${answer.status}`).toBe(true);
  return (await answer.json()) as Record<string, unknown>;
}

const account = (name: string, role: string) =>
  ask("POST", "/api/access/users", { name, password: PASSWORD, roles: [role] });

async function open(path: string): Promise<Page> {
  const page = await (await openContext(browser)).newPage();
  pages.push(page);
  await page.goto(`${server.url}${path}`);
  return page;
}

async function signIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await byId(page, "sign-in-name").locator("input").fill(name);
  await byId(page, "sign-in-password").locator("input").fill(password);
  await page.keyboard.press("Enter");
}

beforeAll(async () => {
  server = await Server.start({ config: KEYS });
  browser = await openBrowser();
});

afterEach(async ({ task }) => {
  await tell(task, ...pages);
  for (const page of pages.splice(0)) await page.context().close();
});

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
});

test("whoever signs in comes back to the page they wanted, and a wrong password opens nothing", async () => {
  await account("anna", "admin");
  const page = await open("/jobs?state=failed");
  await byId(page, "sign-in").waitFor();
  await photograph(page, "sign-in");
  await signIn(page, "anna", "something else");
  await byId(page, "sign-in-problem").waitFor();
  await until("the password can be typed again", () =>
    page.evaluate(() => document.activeElement?.getAttribute("type") === "password"),
  );
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/jobs?state=failed");
  await byId(page, "upload-sample").waitFor();
  await transportIs(page, "websocket");
  await byId(page, "account").click();
  expect(await byId(page, "account-name").textContent()).toBe("anna");
  await byId(page, "sign-out").click();
  await page.waitForURL("**/sign-in");
  await page.goto(`${server.url}/monitor`);
  await byId(page, "sign-in").waitFor();
});

test("a viewer sees everything and finds nothing to change it with", async () => {
  await account("vera", "viewer");
  const page = await open("/");
  await signIn(page, "vera");
  await byId(page, "account").waitFor();
  expect(new URL(page.url()).pathname).toBe("/overview");
  const refused: string[] = [];
  page.on("response", (answer) => {
    if (answer.status() === 401 || answer.status() === 403) refused.push(answer.url());
  });
  const absent = {
    "/jobs": ["upload-sample", "start-command", "ask-video"],
    "/jobs/video/chat": ["video-idea"],
    "/pipeline": ["produce-send", "scale", "start-consumer", "stop-consumer"],
    "/monitor": ["rule-add"],
    "/delivery": ["lab-cut", "lab-restart"],
  };
  for (const [path, ids] of Object.entries(absent)) {
    await page.goto(`${server.url}${path}`);
    await transportIs(page, "websocket");
    for (const id of ids) expect(await byId(page, id).count(), `${id} on ${path}`).toBe(0);
  }
  expect(refused).toEqual([]);
});

test("whose account is disabled is shown the way in, on the page that is open", async () => {
  const { id } = await account("otto", "operator");
  const page = await open("/overview");
  await signIn(page, "otto");
  await transportIs(page, "websocket");
  await ask("PATCH", `/api/access/users/${id}`, { disabled: true });
  await page.waitForURL("**/sign-in?ended=1&back=%2Foverview");
  await signIn(page, "otto");
  await byId(page, "sign-in-problem").waitFor();
});

test("whose role becomes another goes on with it, on the page that is open", async () => {
  const { id } = await account("rosa", "operator");
  const page = await open("/pipeline");
  await signIn(page, "rosa");
  await byId(page, "start-consumer").waitFor();
  await transportIs(page, "websocket");
  await ask("PATCH", `/api/access/users/${id}`, { roles: ["viewer"] });
  await byId(page, "start-consumer").waitFor({ state: "detached" });
  await transportIs(page, "websocket");
});

test("an address that leads elsewhere after signing in leads to the first page", async () => {
  await account("ines", "viewer");
  const page = await open("/sign-in?back=%2F%09%2Fevil.example");
  await signIn(page, "ines");
  await page.waitForURL(`${server.url}/overview`);
});

test("a page that a role does not allow says which right it needs", async () => {
  await account("paula", "publisher");
  const page = await open("/jobs");
  await signIn(page, "paula");
  await byId(page, "not-allowed").waitFor();
  expect(await byId(page, "not-allowed").textContent()).toContain("jobs:read");
  expect(await byId(page, "nav-jobs").count()).toBe(0);
});
