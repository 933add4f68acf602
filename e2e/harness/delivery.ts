/** What the server says about who reads. */
import { json } from "../../testing/http.mjs";

export interface Client {
  readonly client: string;
  readonly transport: string;
  readonly channels: readonly string[];
  readonly state: string;
  readonly lag: number;
}

export async function clientsOf(server: { readonly url: string }): Promise<readonly Client[]> {
  const path = "/api/delivery/clients?limit=1000";
  return (await json<{ clients: Client[] }>(`${server.url}${path}`)).clients;
}
