/**
 * The vectors of client frames as cases for a running server.
 *
 * A server does not echo, so what is seen is what it answers: a pong to each ping, a close to a close, a
 * binary frame or a violation, and (whatever it says to the texts) that it is still there in all other cases.
 */

/** A case a vector. Vectors about the size of messages are left out: a server's own limit is another. */
export function framingCases(vectors) {
  return vectors
    .filter((vector) => vector.close_code !== 1009)
    .map((vector) => ({ name: vector.name.replace(/[^\w]+/g, "_"), steps: steps(vector) }));
}

function steps({ bytes, items, close_code: closeCode }) {
  const pongs = items.filter((item) => item.ping !== undefined).map((item) => item.ping);
  return [
    { connect: "w" },
    { send: "w", bytes },
    ...(pongs.length > 0 ? [{ pongs: "w", expect: pongs }] : []),
    ...end(closeCode, items),
  ];
}

function end(closeCode, items) {
  const binary = items.some((item) => item.binary !== undefined);
  const close = items.find((item) => item.close !== undefined);
  const code = binary ? 1003 : closeCode ?? (close && (close.close ?? 1005));
  if (code !== undefined) {
    return [{ closed: "w", code, after_frames: true }];
  }
  return [{ send: "w", bytes: "89810000000021" }, { pongs: "w", expect: ["21"] }];
}
