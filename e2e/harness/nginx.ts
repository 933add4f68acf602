/**
 * A stock nginx in front of the server: nothing but `proxy_pass`, and for WebSocket the two upgrade headers.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "../../testing/folders.mjs";
import { freePort } from "../../testing/ports.mjs";
import { end, readyWhen, start } from "../../testing/program.mjs";

/** What a server without keys must be told to answer behind it: the first lines of its configuration. */
export const BEHIND_PROXY = "auth.open_behind_proxy = true\n";

/** Compression as its manual says: it makes the entity tags of what it compresses weak (RFC 9110, 8.8.3). */
const GZIP = "gzip on; gzip_types application/json; gzip_proxied any; gzip_min_length 1;";

/** More of a configuration: beside the server, and in it. */
export interface More {
  readonly gzip?: boolean;
  readonly http?: string;
  readonly server?: string;
}

const configuration = (port: number, target: number, dir: string, more: More) => `
daemon off;
pid ${dir}/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  ${more.gzip ? GZIP : ""}
  ${more.http ?? ""}
  upstream anywire { server 127.0.0.1:${target}; }
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  server {
    listen 127.0.0.1:${port};
    ${more.server ?? ""}
    location / {
      proxy_pass http://127.0.0.1:${target};
    }
    location /anywire/ws {
      proxy_pass http://127.0.0.1:${target};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
    location /socket.io/ {
      proxy_pass http://127.0.0.1:${target};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }
}
`;

export class Nginx {
  readonly url: string;
  readonly #dir: string;
  readonly #child: ChildProcess;

  private constructor(url: string, dir: string, child: ChildProcess) {
    this.url = url;
    this.#dir = dir;
    this.#child = child;
  }

  static async start(target: number, more: More = {}): Promise<Nginx> {
    const dir = await temporaryFolder("nginx");
    const port = await freePort();
    const file = join(dir, "nginx.conf");
    await writeFile(file, configuration(port, target, dir, more));
    const program = existsSync("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";
    const child = start(program, ["-p", dir, "-c", file], { stdio: ["ignore", "ignore", "inherit"] });
    const nginx = new Nginx(`http://127.0.0.1:${port}`, dir, child);
    await readyWhen("nginx", child, async () => (await fetch(`${nginx.url}/api/health`)).ok);
    return nginx;
  }

  async stop(): Promise<void> {
    await end(this.#child, "SIGTERM");
    await rm(this.#dir, { recursive: true, force: true });
  }
}
