// @vitest-environment happy-dom
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { expect, test } from "vitest";
import { useChannel, useStatus } from "../src/react.js";
import { type World, world } from "./world.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

async function pass(at: World, ms: number): Promise<void> {
  await act(() => at.server.clock.advance(ms));
}

function mount(at: World) {
  const seen: string[] = [];
  const element = document.createElement("div");
  const root = createRoot(element);
  function Badge({ name, label }: { name: string | null; label: string }) {
    const { last, error } = useChannel(at.connection, name, {
      on: { tick: (data) => seen.push(`${label}:${String(data)}`) },
    });
    const { state, transport } = useStatus(at.connection);
    return createElement(
      "p",
      null,
      `${state} ${transport} ${String(last?.data ?? "-")} ${error?.code ?? "-"}`,
    );
  }
  const render = (name: string | null, label = "x") =>
    act(async () => root.render(createElement(Badge, { name, label })));
  return { seen, element, render, unmount: () => act(async () => root.unmount()) };
}

test("useChannel and useStatus follow as long as the component is there, with the newest handlers", async () => {
  const at = world();
  const view = mount(at);
  await view.render("a", "first");
  await pass(at, 500);
  at.server.publish("a", 1);
  await pass(at, 500);
  expect(view.element.textContent).toBe("live websocket 1 -");
  const requests = at.server.frames.length;
  await view.render("a", "second");
  at.server.publish("a", 2);
  await pass(at, 500);
  expect(view.seen).toEqual(["first:1", "second:2"]);
  expect(at.server.frames.slice(requests).filter((frame) => frame.op === "subscribe")).toEqual([]);
  await view.render("b");
  await pass(at, 500);
  expect(view.element.textContent).toBe("live websocket - -");
  await view.unmount();
  await at.server.clock.advance(500);
  expect(at.connection.status().state).toBe("idle");
});

test("null follows nothing, and a refusal is shown", async () => {
  const at = world();
  at.server.faults.forbidden.add("secret");
  const view = mount(at);
  await view.render(null);
  await pass(at, 500);
  expect(view.element.textContent).toBe("idle null - -");
  await view.render("secret");
  await pass(at, 1000);
  expect(view.element.textContent).toContain("forbidden");
  await view.unmount();
});
