/**
 * The typed API: what must compile does, and what must not is marked, so that `tsc` fails if it starts to.
 */
import { expectTypeOf, test } from "vitest";
import { type Connection, connect } from "../src/index.js";

interface Progress {
  readonly percent: number;
}

interface Channels {
  progress_42: { progress_update: Progress; failed: string };
  [report: `report_${string}`]: { ready: { url: string } };
}

test("data has the type that the channel map gives it", () => {
  const connection: Connection<Channels> = connect<Channels>("http://localhost");
  connection.channel("progress_42").on("progress_update", (data, event) => {
    expectTypeOf(data).toEqualTypeOf<Progress>();
    expectTypeOf(event.event).toEqualTypeOf<"progress_update">();
  });
  connection.channel("report_7").on("ready", (data) => expectTypeOf(data.url).toBeString());
  connection.channel("progress_42").on("*", (data) => expectTypeOf(data).toEqualTypeOf<Progress | string>());
  // @ts-expect-error no such event
  connection.channel("progress_42").on("ready", () => {});
  // @ts-expect-error no such channel
  connection.channel("other");
  // @ts-expect-error data of another type
  const wrong = () => connection.publish("progress_42", "progress_update", { percent: "50" });
  expectTypeOf(wrong).toBeFunction();
  connection.close();
});

test("without a map every channel may be named, and data is unknown", () => {
  const connection = connect("http://localhost");
  connection.channel("anything").on("any", (data) => expectTypeOf(data).toBeUnknown());
  connection.close();
});
