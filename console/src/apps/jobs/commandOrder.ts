/** What a page can start, and how it is asked for. Pure. */
import type { Command, Commands, RunCommand } from "@/shared/wire";

/** The choice of typing a command. No configured one can have this name. */
export const ADHOC = "";

export type Choice = Pick<Command, "name" | "title" | "parameters">;

/** A video has a page of its own. */
const ELSEWHERE = "video";

export function offered(commands: Commands | null): Choice[] {
  if (!commands) return [];
  const configured: Choice[] = commands.commands.filter(({ name }) => name !== ELSEWHERE);
  return commands.adhoc ? [...configured, { name: ADHOC, title: "", parameters: [] }] : configured;
}

/** One argument a line: no shell reads it, and none is needed to write an argument with spaces. */
export function argvOf(typed: string): string[] {
  const lines = typed.split("\n").map((line) => line.replace(/\r$/, ""));
  while (lines.at(-1) === "") lines.pop();
  return lines[0]?.trim() ? lines : [];
}

export function orderOf(choice: Choice, parameters: Readonly<Record<string, string>>, typed: string): RunCommand {
  if (choice.name === ADHOC) return { argv: argvOf(typed) };
  const given = choice.parameters.map((name) => [name, parameters[name] ?? ""] as const);
  return { command: choice.name, parameters: Object.fromEntries(given) };
}
