/** The order and the filter of the table of clients. Pure. */
import type { ConnectedNamespace, DeliveryClient } from "@/shared/wire";

/** Own page first, then by age: a row keeps its place while others come and go below it. */
export function orderClients(clients: readonly DeliveryClient[], own: string): DeliveryClient[] {
  return [...clients].sort((a, b) => {
    if ((a.client === own) !== (b.client === own)) return a.client === own ? -1 : 1;
    const age = Date.parse(a.connected_at) - Date.parse(b.connected_at);
    return age || a.client.localeCompare(b.client);
  });
}

/**
 * A key that stays with a client through changes of transport; two rows of one name are told apart by their
 * count.
 */
export function rowKeys(clients: readonly DeliveryClient[]): string[] {
  const seen = new Map<string, number>();
  return clients.map(({ client }) => {
    const count = seen.get(client) ?? 0;
    seen.set(client, count + 1);
    return count === 0 ? client : `${client} ${count}`;
  });
}

/** The namespaces of a Socket.IO client with their rooms, for where there is room to say all of it. */
export function describeNamespaces(client: DeliveryClient): string {
  const one = ({ name, socket, rooms }: ConnectedNamespace) => `${name} (${socket}): ${rooms.join(", ") || "–"}`;
  return client.namespaces.map(one).join("\n");
}

export function countByTransport(clients: readonly DeliveryClient[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { transport } of clients) counts.set(transport, (counts.get(transport) ?? 0) + 1);
  return counts;
}
