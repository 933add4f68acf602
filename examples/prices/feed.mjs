// Replays a CSV file of trades into Anywire, at the pace at which they happened times --speed, and serves the
// page that shows them. No dependencies: `node feed.mjs --help`.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const here = (name) => new URL(name, import.meta.url);
const { values } = parseArgs({
  options: {
    server: { type: "string", default: "http://127.0.0.1:8000" },
    file: { type: "string" },
    speed: { type: "string", default: "20" },
    port: { type: "string", default: "8090" },
    token: { type: "string", default: process.env.ANYWIRE_TOKEN ?? "" },
    once: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log("node feed.mjs [--server URL] [--file PATH] [--speed N] [--port N] [--token KEY] [--once]");
  process.exit();
}

function parse(text) {
  const [head, ...lines] = text.trim().split(/\r?\n/);
  if (head !== "time,symbol,price,volume") throw new Error(`the first line is ${head}; expected time,symbol,price,volume`);
  return lines.map((line, index) => {
    const [time, symbol, price, volume] = line.split(",");
    const trade = { time, symbol, price: Number(price), volume: Number(volume) };
    if (Number.isNaN(Date.parse(time)) || !symbol || !Number.isFinite(trade.price)) throw new Error(`line ${index + 2}: ${line}`);
    return trade;
  });
}

async function publish(trade) {
  const headers = { "Content-Type": "application/json" };
  if (values.token) headers.Authorization = `Bearer ${values.token}`;
  const body = JSON.stringify({ channel: `price:${trade.symbol}`, event: "trade", data: trade });
  try {
    const answer = await fetch(`${values.server}/anywire/publish`, { method: "POST", headers, body });
    if (!answer.ok) console.error(`the server answered ${answer.status}: ${await answer.text()}`);
  } catch (error) {
    // A price that nobody could hear is old news: the next one follows.
    console.error(`${values.server}: ${error.cause?.code ?? error.message}`);
  }
}

async function replay(trades, speed) {
  let before = Date.parse(trades[0].time);
  for (const trade of trades) {
    const at = Date.parse(trade.time);
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(0, at - before) / speed, 5000)));
    before = at;
    await publish(trade);
  }
}

const trades = parse(await readFile(values.file ?? here("prices.csv"), "utf8"));
const symbols = [...new Set(trades.map((trade) => trade.symbol))];
const page = createServer(async (request, response) => {
  if (request.url !== "/") return response.writeHead(404).end();
  const html = await readFile(here("index.html"), "utf8");
  const settings = JSON.stringify({ server: values.server, symbols }).replaceAll("<", "\\u003c");
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(html.replace('"SETTINGS"', settings));
}).listen(Number(values.port), "127.0.0.1");
await once(page, "listening");
console.log(`${trades.length} trades of ${symbols.join(", ")}; see them at http://127.0.0.1:${page.address().port}/`);
do await replay(trades, Math.max(0.01, Number(values.speed) || 20));
while (!values.once);
page.close();
