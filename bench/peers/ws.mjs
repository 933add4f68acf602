// `ws`: every message to every client, as its README shows it. Compression is off, as it is by default.
import { WebSocketServer, WebSocket } from "ws";
import { listen, serve } from "./publish.mjs";

const server = serve((body) => {
  const bytes = Buffer.from(body);
  for (const client of sockets.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(bytes, { binary: false });
  }
});
const sockets = new WebSocketServer({ server });
listen(server);
