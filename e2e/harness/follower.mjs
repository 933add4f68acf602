/**
 * A Socket.IO client in a process of its own, so that it can be stopped as a whole: `node follower.mjs URL
 * TRANSPORTS`. It says `connected`, `count N` now and then, and one line for whatever is not as it should be.
 */
import { io } from "socket.io-client";

const [url = "", transports = ""] = process.argv.slice(2);
/** @param {string} line */
const say = (line) => process.stdout.write(`${line}\n`);
const socket = io(url, { transports: transports.split(",") });
let count = 0;
let said = 0;

socket.on("connect", () => say("connected yes"));
socket.on("disconnect", (reason) => say(`disconnected ${reason}`));
socket.on("connect_error", (error) => say(`refused ${error.message}`));
socket.on("gap", (gap) => say(`gap ${JSON.stringify(gap)}`));
socket.on("n", ({ number }) => {
  if (number !== count) say(`fault expected ${count}, got ${number}`);
  count = number + 1;
});
setInterval(() => {
  if (said !== count) say(`count ${count}`);
  said = count;
}, 50);
