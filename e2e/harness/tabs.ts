/**
 * Tabs of one browser that share a connection: a page of our own with `anywire/shared` as an application
 * bundles it.
 */
import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { BrowserContext, Page } from "playwright-core";

const CLIENT = resolve(import.meta.dirname, "../../clients/typescript");

/**
 * The one call of esbuild that is needed; the client brings it along, so this folder has no copy of its own.
 */
interface Bundler {
  build(options: Readonly<Record<string, unknown>>): Promise<{ outputFiles: readonly { text: string }[] }>;
}

/** What the page holds, by channel in the order of arrival, and what must stay empty. */
interface Held {
  readonly seen: Record<string, string[]>;
  readonly gaps: unknown[];
  readonly role: string | null;
  readonly state: string;
}

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>tab</title>
<link rel="icon" href="data:,">
<script type="module">
  import { connectShared } from "/shared.js";
  const query = new URLSearchParams(location.search);
  const connection = connectShared(query.get("server"), { client: query.get("name") });
  const held = { seen: {}, gaps: [], role: null, state: "idle" };
  for (const name of query.getAll("channel")) {
    const seen = (held.seen[name] = []);
    connection
      .channel(name, { after: "0" })
      .on("*", (data, { offset }) => seen.push(offset + " " + JSON.stringify(data)))
      .onGap((gap) => held.gaps.push(gap))
      .onError(({ code }) => held.gaps.push(code));
  }
  connection.onStatus(({ role, state }) => Object.assign(held, { role, state }));
  window.held = held;
</script>`;

/** Serves the page on loopback, an origin that an open server accepts. */
export class TabSite {
  readonly #server: http.Server;
  readonly #url: string;

  private constructor(server: http.Server, url: string) {
    this.#server = server;
    this.#url = url;
  }

  static async start(): Promise<TabSite> {
    const bundle = await bundled();
    const server = http.createServer((request, response) => {
      const isScript = request.url === "/shared.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? bundle : PAGE);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return new TabSite(server, `http://127.0.0.1:${address.port}`);
  }

  /**
   * A new tab that follows these channels from the oldest event on. To the server it is named as it is here.
   */
  async open(
    context: BrowserContext,
    server: string,
    name: string,
    channels: readonly string[],
  ): Promise<Tab> {
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    const query = new URLSearchParams([
      ["server", server],
      ["name", name],
      ...channels.map((channel): [string, string] => ["channel", channel]),
    ]);
    await page.goto(`${this.#url}/?${query}`);
    return new Tab(page, name, channels, errors);
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

async function bundled(): Promise<string> {
  const { build } = createRequire(resolve(CLIENT, "package.json"))("esbuild") as Bundler;
  const { outputFiles } = await build({
    entryPoints: [resolve(CLIENT, "src/shared.ts")],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const text = outputFiles[0]?.text;
  if (!text) throw new Error("esbuild gave nothing");
  return text;
}

export class Tab {
  readonly name: string;
  readonly channels: readonly string[];
  /** Exceptions that nobody caught. */
  readonly errors: readonly string[];
  readonly #page: Page;

  constructor(page: Page, name: string, channels: readonly string[], errors: readonly string[]) {
    this.#page = page;
    this.name = name;
    this.channels = channels;
    this.errors = errors;
  }

  async held(): Promise<Held> {
    return this.#page.evaluate(() => (window as unknown as { held: Held }).held);
  }

  /** As a person closes it: the page gets no chance to say good-bye, only the browser knows. */
  async close(): Promise<void> {
    await this.#page.close();
  }

  /** Ends the page's process in the middle of what it does. */
  async crash(): Promise<void> {
    const crashed = this.#page.waitForEvent("crash");
    // Never answered by a page that is gone.
    this.#page.goto("chrome://crash").catch(() => {});
    await crashed;
  }
}
