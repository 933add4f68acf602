import { expect, test } from "vitest";
import { effectScope, nextTick, ref } from "vue";
import { useChannel, useStatus } from "../src/vue.js";
import { world } from "./world.js";

test("useChannel follows as long as its scope lives, and changes channel with its name", async () => {
  const at = world();
  const name = ref<string | null>("a");
  const seen: unknown[] = [];
  const scope = effectScope();
  const used = scope.run(() =>
    useChannel(at.connection, name, { on: { tick: (data) => seen.push(data) }, onError: () => {} }),
  );
  await at.server.clock.advance(500);
  at.server.publish("a", 1);
  await at.server.clock.advance(500);
  expect(used?.last.value).toMatchObject({ channel: "a", data: 1 });
  name.value = "b";
  await nextTick();
  expect(used?.last.value).toBe(null);
  await at.server.clock.advance(500);
  at.server.publish("a", 2);
  at.server.publish("b", 3);
  await at.server.clock.advance(500);
  expect(seen).toEqual([1, 3]);
  scope.stop();
  at.server.publish("b", 4);
  await at.server.clock.advance(500);
  expect(seen).toEqual([1, 3]);
  expect(at.connection.status().state).toBe("idle");
});

test("useChannel tells why a channel is refused", async () => {
  const at = world();
  at.server.faults.forbidden.add("secret");
  const used = effectScope().run(() => useChannel(at.connection, "secret"));
  await at.server.clock.advance(1000);
  expect(used?.error.value?.code).toBe("forbidden");
});

test("useStatus is a badge's data", async () => {
  const at = world();
  const scope = effectScope();
  const status = scope.run(() => useStatus(at.connection));
  expect(status?.value.state).toBe("idle");
  at.connection.channel("a");
  await at.server.clock.advance(500);
  expect(status?.value).toMatchObject({ state: "live", transport: "websocket" });
  scope.stop();
  at.connection.close();
  expect(status?.value.state).toBe("live");
});
