/** What the form that starts commands says, in English. */
export const commands = {
  title: "Start a command",
  which: "Command",
  typed: "Type a command…",
  argv: "One argument a line",
  start: "Start",
};
