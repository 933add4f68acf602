import { describe, expect, it } from "vitest";
import { countingFetch, frameBytes, headBytes, TrafficMeter } from "./traffic";

function meterAt(start: number) {
  const clock = { now: start };
  return { clock, meter: new TrafficMeter(() => clock.now) };
}

describe("the traffic of a minute", () => {
  it("is not told in the first seconds", () => {
    const { clock, meter } = meterAt(0);
    meter.frame(100);
    clock.now = 4000;
    expect(meter.perMinute()).toBeNull();
  });

  it("is brought to a minute while less was measured, and forgets what is older than one", () => {
    const { clock, meter } = meterAt(0);
    meter.request();
    meter.received(150);
    clock.now = 30_000;
    expect(meter.perMinute()).toEqual({ requests: 2, bytes: 300 });
    clock.now = 61_000;
    expect(meter.perMinute()).toEqual({ requests: 0, bytes: 0 });
    expect(meter.total).toEqual({ requests: 1, bytes: 150, frames: 0 });
  });

  it("begins anew when something else is measured", () => {
    const { clock, meter } = meterAt(0);
    meter.frame(1000);
    clock.now = 10_000;
    meter.restart();
    clock.now = 20_000;
    expect(meter.perMinute()).toEqual({ requests: 0, bytes: 0 });
  });
});

it("a frame is its payload and a head of two, four or ten bytes", () => {
  expect(frameBytes("x".repeat(125))).toBe(127);
  expect(frameBytes("x".repeat(126))).toBe(130);
  expect(frameBytes("ế")).toBe(5);
  expect(frameBytes("x".repeat(70_000))).toBe(70_010);
});

it("the head of an answer is what stood on the wire", () => {
  const wire = 'HTTP/1.1 304 Not Modified\r\netag: "a-1"\r\n\r\n';
  expect(headBytes(304, "Not Modified", [["etag", '"a-1"']])).toBe(wire.length);
});

it("an answer is counted as it is read, and can still be read", async () => {
  const { meter } = meterAt(0);
  const inner = async () => new Response("hello", { status: 200, statusText: "OK", headers: { a: "b" } });
  const response = await countingFetch(() => meter, inner as typeof fetch)("/x");
  expect(await response.text()).toBe("hello");
  const head = headBytes(200, "OK", response.headers);
  expect(meter.total).toEqual({ requests: 1, bytes: head + 5, frames: 0 });
});

it("an answer without a body that comes with an empty one is passed on as it is", async () => {
  const { meter } = meterAt(0);
  // Chromium gives a 204 from the network a body; the constructor of a Response refuses one.
  const answer = Object.defineProperty(new Response(null, { status: 204 }), "body", { value: new Response("").body });
  const response = await countingFetch(() => meter, (async () => answer) as typeof fetch)("/x");
  expect(response).toBe(answer);
  expect(meter.total.bytes).toBe(headBytes(204, "", response.headers));
});
