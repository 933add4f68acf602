// Socket.IO as `jitter` needs it: with its connection state recovery, a client that comes back with the `pid`
// and the offset it knows gets what it missed. The two minutes are those of its manual, and so is letting go
// of each session's first HTTP request, which saves memory. Pings are its defaults: every 25 s, with 20 s to
// answer.
import { Server } from "socket.io";
import { listen, serve } from "./publish.mjs";

const server = serve((body) => sockets.emit("m", body));
const sockets = new Server(server, {
  connectionStateRecovery: { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true },
});
sockets.engine.on("connection", (session) => {
  session.request = null;
});
listen(server);
