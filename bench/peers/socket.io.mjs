// Socket.IO: `io.emit`, which encodes once and writes to every client. Clients never upgrade: no upgrade is
// measured. Pings come once in five minutes: none falls into a round of another server that runs beside this
// one.
import { Server } from "socket.io";
import { listen, serve } from "./publish.mjs";

const server = serve((body) => sockets.emit("m", body));
const sockets = new Server(server, { transports: ["polling", "websocket"], pingInterval: 300_000, pingTimeout: 300_000 });
listen(server);
