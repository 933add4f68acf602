/**
 * A small price file to try a report with: one row a minute, open, high, low, close and volume.
 *
 * Deterministic for one seed; `random` is a plain linear generator, since nothing here needs to be secret or
 * well mixed.
 */
export function sampleCsv(rows: number, seed: number, begin = Date.UTC(2026, 0, 5, 2, 0, 0)): string {
  const random = generator(seed);
  const lines = ["time,symbol,open,high,low,close,volume"];
  let price = 1280 + random() * 20;
  for (let row = 0; row < rows; row += 1) {
    const open = price;
    const close = open * (1 + (random() - 0.497) * 0.004);
    const high = Math.max(open, close) * (1 + random() * 0.0015);
    const low = Math.min(open, close) * (1 - random() * 0.0015);
    const volume = Math.round(500 + random() * random() * 24_000);
    const time = new Date(begin + row * 60_000).toISOString();
    const prices = [open, high, low, close].map((value) => value.toFixed(2)).join(",");
    lines.push(`${time},VN30F1M,${prices},${volume}`);
    price = close;
  }
  return `${lines.join("\n")}\n`;
}

export function sampleFile(rows = 20_000, seed = Date.now() % 100_000): File {
  return new File([sampleCsv(rows, seed)], `ohlcv-sample-${seed}.csv`, { type: "text/csv", lastModified: seed });
}

function generator(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
