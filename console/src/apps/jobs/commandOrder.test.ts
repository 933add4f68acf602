import { describe, expect, it } from "vitest";
import type { Commands } from "@/shared/wire";
import { ADHOC, argvOf, offered, orderOf } from "./commandOrder";

const command = (name: string, ...parameters: string[]) => ({
  name,
  title: name.toUpperCase(),
  parameters,
  parser: "lines" as const,
  timeout_ms: 1000,
});
const commands = (adhoc: boolean): Commands => ({
  adhoc,
  running_max: 1,
  commands: [command("build", "target"), command("video", "message")],
});

describe("commands of the page", () => {
  it("are those that are configured, without the one that has a page of its own, and typed ones where allowed", () => {
    expect(offered(commands(false)).map(({ name }) => name)).toEqual(["build"]);
    expect(offered(commands(true)).map(({ name }) => name)).toEqual(["build", ADHOC]);
    expect(offered(null)).toEqual([]);
  });

  it("are asked for with their own parameters alone", () => {
    const build = offered(commands(false))[0];
    if (!build) throw new Error("no command");
    expect(orderOf(build, { target: "all", other: "x" }, "")).toEqual({
      command: "build",
      parameters: { target: "all" },
    });
  });

  it("that are typed have one argument a line, spaces and all", () => {
    expect(argvOf("ls\n-l\n/my files\n\n")).toEqual(["ls", "-l", "/my files"]);
    expect(argvOf("printf\n\nx")).toEqual(["printf", "", "x"]);
    expect(argvOf(" \n")).toEqual([]);
    expect(argvOf("")).toEqual([]);
  });
});
