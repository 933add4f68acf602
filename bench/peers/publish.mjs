// The HTTP side that both Node servers share: POST /publish hands its body to `deliver` and answers 204.
import { createServer } from "node:http";

export function serve(deliver) {
  const server = createServer((request, response) => {
    if (request.method !== "POST" || request.url !== "/publish") {
      response.writeHead(404).end();
      return;
    }
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      deliver(body);
      response.writeHead(204).end();
    });
  });
  server.keepAliveTimeout = 600_000;
  return server;
}

export function listen(server) {
  const port = Number(process.argv[2] ?? 0);
  server.listen({ port, host: "127.0.0.1", backlog: 4096 }, () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
}
