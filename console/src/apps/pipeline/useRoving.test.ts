import { describe, expect, it } from "vitest";
import { ref } from "vue";
import { targetOf, useRoving } from "./useRoving";

describe("moving through a long list", () => {
  it("stays within the list, whatever the key", () => {
    const check = (key: string, at: number, to: number | null) => expect(targetOf(key, at, 30)).toBe(to);
    check("ArrowDown", 3, 4);
    check("ArrowDown", 29, 29);
    check("ArrowUp", 0, 0);
    check("PageDown", 25, 29);
    check("PageUp", 12, 2);
    check("Home", 12, 0);
    check("End", 12, 29);
    check("x", 12, null);
    expect(targetOf("End", 0, 0)).toBeNull();
  });

  it("has one stop, which follows the focus, and scrolls to a row that is not in the page", async () => {
    const keys = ref(["a", "b", "c", "d"]);
    const shown = ref(["a", "b"]);
    const scrolled: number[] = [];
    const focused: string[] = [];
    const scrollTo = (index: number) => scrolled.push(index);
    const { stop, onKey } = useRoving({ keys, shown, scrollTo, focus: (key) => focused.push(key) });
    expect(stop.value).toBe("a");
    await onKey(new KeyboardEvent("keydown", { key: "ArrowDown" }));
    expect([stop.value, scrolled, focused]).toEqual(["b", [], ["b"]]);
    await onKey(new KeyboardEvent("keydown", { key: "End" }));
    shown.value = ["c", "d"];
    expect([stop.value, scrolled, focused]).toEqual(["d", [3], ["b", "d"]]);
  });

  it("leads to the first row in the page when the last one had its row scrolled away", () => {
    const keys = ref(["a", "b", "c"]);
    const shown = ref(["a"]);
    const { stop, choose } = useRoving({ keys, shown, scrollTo: () => undefined, focus: () => undefined });
    choose("a");
    shown.value = ["c"];
    expect(stop.value).toBe("c");
  });
});
