import { mount } from "@vue/test-utils";
import { describe, expect, it, vi } from "vitest";
import { nextTick, ref, shallowRef } from "vue";
import { i18n } from "@/shared/i18n";
import type { JobState, LogLine } from "@/shared/wire";
import LogPanel from "./LogPanel.vue";

const log = vi.hoisted(() => ({ lines: undefined as unknown as { value: readonly LogLine[] } }));

vi.mock("./useJobLog", () => ({
  useJobLog: () => {
    log.lines = shallowRef<readonly LogLine[]>([]);
    return { lines: log.lines, loaded: ref(true), error: shallowRef(null) };
  },
}));

const line = (n: number): LogLine => ({ n, at: "2026-01-23T10:00:00.000Z", stream: "out", text: `line ${n}` });
const job = { session_id: "a", attempt: 0, status: "running" } as JobState;

async function panel() {
  Element.prototype.scrollTo = () => undefined;
  const wrapper = mount(LogPanel, { props: { job }, global: { plugins: [i18n] } });
  log.lines.value = [line(1)];
  await nextTick();
  const following = () => wrapper.get('[data-testid="job-log"]').attributes("data-following");
  const scroll = () => wrapper.get('[role="log"]').trigger("scroll");
  return { wrapper, following, scroll };
}

describe("the output of a job", () => {
  it("stays paused by the button when a scroll that began before it ends", async () => {
    const { wrapper, following, scroll } = await panel();
    await wrapper.get('[data-testid="log-follow"]').trigger("click");
    await scroll();
    expect(following()).toBe("false");
    log.lines.value = [line(1), line(2)];
    await nextTick();
    expect(wrapper.find('[data-testid="log-more"]').exists()).toBe(true);
    await wrapper.get('[data-testid="log-more"]').trigger("click");
    expect([following(), wrapper.findAll(".line").length]).toEqual(["true", 2]);
    wrapper.unmount();
  });
});
