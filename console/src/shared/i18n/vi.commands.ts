/** What the form that starts commands says, in Vietnamese. */
export const commands = {
  title: "Chạy một lệnh",
  which: "Lệnh",
  typed: "Gõ một lệnh…",
  argv: "Mỗi dòng một đối số",
  start: "Chạy",
};
