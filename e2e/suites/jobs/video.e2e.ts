/**
 * A video as a person has it made: asked for in the chat, watched through a reload and a killed server,
 * retried, and played.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../../testing/folders.mjs";
import { Server } from "../../../testing/server.mjs";
import { Hopeless, until } from "../../../testing/until.mjs";
import { byId, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { commandsOf, noneLeft } from "../../harness/processes.ts";

/** As it is where nothing is configured, but with programs of the test's choice. */
const VIDEO = '["{worker}", "make-video", "--language={language}", "--message={message}"]';
const STEPS = ["script", "speech", "frames", "encode", "publish"];
const MESSAGE =
  "Tạo video về trà Thái Nguyên. Trà được hái bằng tay vào buổi sáng sớm, khi sương còn đọng trên lá.";

/**
 * How fast the encoder may read while it is held up, against the time the video lasts: it works, but does not
 * get far.
 */
const HELD_RATE = "0.01";

let programs: string;
let server: Server;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await openBrowser();
});

afterAll(() => browser?.close());

beforeEach(async () => {
  programs = await temporaryFolder("programs");
  holdEncoder(programs);
  const path = [programs, process.env.PATH].join(delimiter);
  server = await Server.start({
    config: `[jobs]\ncommand_stop_ms = 500\n[jobs.commands.video]\ntitle = "Video"\nargv = ${VIDEO}\nparser = "json"\nset = { PATH = ${JSON.stringify(path)} }\n`,
  });
  page = await (await openContext(browser)).newPage();
});

afterEach(async () => {
  await page?.context().close();
  await server?.dispose();
});

/**
 * Puts an `ffmpeg` before the real one that encodes as slowly as told until {@link letGo}: so the middle of
 * the encoding is there whenever one looks.
 */
function holdEncoder(folder: string): void {
  const real = execFileSync("sh", ["-c", "command -v ffmpeg"], { encoding: "utf8" }).trim();
  const script = `#!/bin/sh
if [ ! -e '${folder}/go' ]; then
  case " $* " in *" concat "*)
    for argument do
      shift
      [ "$argument" = concat ] && set -- "$@" "$argument" -readrate ${HELD_RATE} || set -- "$@" "$argument"
    done ;;
  esac
fi
exec ${real} "$@"
`;
  writeFileSync(join(folder, "ffmpeg"), script);
  chmodSync(join(folder, "ffmpeg"), 0o755);
}

const letGo = () => writeFileSync(join(programs, "go"), "");

async function ask(message: string): Promise<string> {
  await page.goto(`${server.url}/jobs/video/chat`);
  await byId(page, "video-message").fill(message);
  await byId(page, "video-message").press("Enter");
  const turn = byId(page, "video-turn").last();
  await turn.waitFor();
  return (await turn.getAttribute("data-job-id")) ?? "";
}

/** Waits as long as the video moves: how fast it is made is the machine's business. */
async function turnIs(status: string): Promise<void> {
  let percent = "";
  const look = async () => {
    const turn = byId(page, "video-turn").last();
    const now = await turn.getAttribute("data-status");
    if (now === "failed" && status !== "failed")
      throw new Hopeless(await byId(page, "video-words").last().innerText());
    if (now === status) return "there";
    const before = percent;
    percent = await turn.locator(".percent").innerText();
    return percent !== before && "moves";
  };
  while ((await until(`the video is ${status}, or moves`, look)) !== "there");
}

const stepRuns = (name: string) =>
  until(`step ${name} runs`, async () => {
    const step = byId(page, "step").and(page.locator(`[data-step-name="${name}"]`));
    return (await step.getAttribute("data-step-state")) === "running";
  });

const shows = (what: string) =>
  until(
    `the frame shows ${what}`,
    async () => (await byId(page, "video-frame").getAttribute("data-shows")) === what,
  );

test("a video is asked for, survives a reload and kill -9, is retried, and plays", async () => {
  await page.goto(`${server.url}/jobs/video/chat`);
  await byId(page, "video-idea").first().waitFor();
  await photograph(page, "video-empty");
  const id = await ask(MESSAGE);
  await shows("preview");
  await photograph(page, "video-making");
  await page.reload();
  await byId(page, "video-turn").waitFor();
  await shows("preview");
  expect(await byId(page, "video-turn").locator(".asked").innerText()).toBe(MESSAGE);

  await stepRuns("encode");
  expect(commandsOf(server.dir).some((line) => line.includes("ffmpeg") && line.includes("-readrate"))).toBe(
    true,
  );
  await server.kill();
  await noneLeft(server.dir);
  await server.boot();
  await turnIs("interrupted");
  await photograph(page, "video-interrupted");
  letGo();
  await byId(page, "video-retry").click();
  await turnIs("succeeded");
  await shows("video");

  const state = (await (await fetch(`${server.url}/api/video-progress/${id}/status`)).json()) as {
    video: { url: string; duration_s: number; size_bytes: number };
    steps: { name: string; duration_ms: number }[];
    attempt: number;
  };
  expect(state.steps.map((step) => step.name)).toEqual(STEPS);
  expect(state.steps.every((step) => step.duration_ms >= 0)).toBe(true);
  expect(state.attempt).toBe(1);
  await plays(state.video.duration_s);
  await photograph(page, "video-done");
  await probed(`${server.url}${state.video.url}`, state.video);
  await page.goto(`${server.url}/jobs/${id}`);
  await byId(page, "artefacts").waitFor();
  await photograph(page, "video-job");
  await page.goto(`${server.url}/jobs?kind=video`);
  await byId(page, "job-row").waitFor();
  await photograph(page, "video-list");
});

/** In Chromium, from the middle on: seeking needs `Range`. */
async function plays(duration: number): Promise<void> {
  const player = byId(page, "video-player");
  const end = await player.evaluate(async (element, middle) => {
    const video = element as HTMLVideoElement;
    video.muted = true;
    if (video.readyState < 1)
      await new Promise((resolve) => video.addEventListener("loadedmetadata", resolve));
    video.currentTime = middle;
    await new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    await video.play();
    await new Promise<void>((resolve) => {
      video.addEventListener("timeupdate", () => video.currentTime > middle + 0.3 && resolve());
    });
    video.pause();
    return {
      time: video.currentTime,
      width: video.videoWidth,
      duration: video.duration,
      error: video.error?.message,
    };
  }, duration / 2);
  expect(end).toMatchObject({ width: 1280, error: undefined });
  expect(end.time).toBeGreaterThan(duration / 2);
  expect(Math.abs(end.duration - duration)).toBeLessThan(0.2);
}

async function probed(url: string, video: { size_bytes: number; duration_s: number }): Promise<void> {
  const part = await fetch(url, { headers: { Range: "bytes=100-199" } });
  expect([part.status, (await part.arrayBuffer()).byteLength]).toEqual([206, 100]);
  const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
  expect(bytes.length).toBe(video.size_bytes);
  const path = join(server.dir, "video.mp4");
  writeFileSync(path, bytes);
  const entries = "format=duration:stream=codec_name,width,height";
  const found = JSON.parse(
    execFileSync("ffprobe", ["-v", "error", "-show_entries", entries, "-of", "json", path], {
      encoding: "utf8",
    }),
  ) as { streams: { codec_name: string; width?: number }[] };
  expect(found.streams.map((stream) => stream.codec_name)).toEqual(["h264", "aac"]);
  // Every frame is decoded: a broken file would say so.
  const decoded = spawnSync("ffmpeg", ["-v", "error", "-i", path, "-f", "null", "-"], { encoding: "utf8" });
  expect([decoded.status, decoded.stderr]).toEqual([0, ""]);
}

test("a video can be cancelled, and nothing of it goes on", async () => {
  await ask(MESSAGE);
  await stepRuns("encode");
  await byId(page, "video-cancel").click();
  await turnIs("cancelled");
  await noneLeft(server.dir);
});
