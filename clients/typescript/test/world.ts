/** A client on a fake server, and what it received. The one place that knows how they are put together. */
import { type Connection, type ConnectOptions, connect, type Gap, type Status } from "../src/index.js";
import { FakePage, FakeServer } from "./fake-server.js";

export interface World {
  readonly server: FakeServer;
  readonly page: FakePage;
  readonly connection: Connection;
  readonly statuses: Status[];
}

export function world(options: ConnectOptions = {}, seed = 1): World {
  const server = new FakeServer(seed);
  const page = new FakePage();
  return { server, page, ...client(server, page, options) };
}

export function client(server: FakeServer, page: FakePage, options: ConnectOptions = {}) {
  const environment = { ...server.environment(page), ...options.environment };
  const connection = connect("http://server.test", { ...options, environment });
  const statuses: Status[] = [];
  connection.onStatus((status) => statuses.push(status));
  return { connection, statuses };
}

export interface Received {
  readonly data: unknown[];
  readonly offsets: number[];
  readonly gaps: Gap[];
  readonly channel: ReturnType<Connection["channel"]>;
}

/** Follows a channel and keeps what comes. */
export function follow(connection: Connection, name: string, after?: string, presence = false): Received {
  const channel = connection.channel(name, { after, presence });
  const received: Received = { data: [], offsets: [], gaps: [], channel };
  channel.on("*", (data, event) => {
    received.data.push(data);
    received.offsets.push(event.offset);
  });
  channel.onGap((gap) => received.gaps.push(gap));
  return received;
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}
