/** Cursors, as far as a page compares them: `<epoch>-<offset>`. Offsets are compared, never clocks. */

interface Cursor {
  epoch: string;
  offset: number;
}

function parse(cursor: string | undefined): Cursor | null {
  const match = /^([0-9a-f]{8})-(\d+)$/.exec(cursor ?? "");
  return match?.[1] && match[2] ? { epoch: match[1], offset: Number(match[2]) } : null;
}

/** How far `a` is past `b`, in offsets; null where that can't be said, as of two logs. */
export function distance(a: string | undefined, b: string | undefined): number | null {
  const [left, right] = [parse(a), parse(b)];
  return left && right && left.epoch === right.epoch ? left.offset - right.offset : null;
}
