/**
 * JSON for people as the text that it is: numbers, strings and the order of members stay as they came. Pure.
 *
 * Invariant: no number is ever parsed to be shown. JavaScript would show 9007199254740993 as …992, 1.10 as
 * 1.1 and 1E400 as null.
 */

/** Why a text is no JSON; null if it is. */
export function jsonProblem(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/** A string, a number or a word, a bracket, or what stands between. White space is left out. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const INDENT = "  ";

/** The same JSON in lines; a text that is no JSON comes back as it is. */
export function prettyJson(text: string): string {
  return jsonProblem(text) === null ? indented(text.match(TOKENS) ?? []) : text;
}

function indented(tokens: readonly string[]): string {
  const out: string[] = [];
  let depth = 0;
  const line = () => out.push(`\n${INDENT.repeat(depth)}`);
  for (const [at, token] of tokens.entries()) {
    const isEmpty = isOpening(tokens[at - 1]) && isClosing(token);
    if (isClosing(token)) {
      depth -= 1;
      if (!isEmpty) line();
    } else if (isOpening(tokens[at - 1])) line();
    out.push(token === ":" ? ": " : token);
    if (isOpening(token)) depth += 1;
    if (token === ",") line();
  }
  return out.join("");
}

const isOpening = (token: string | undefined) => token === "{" || token === "[";
const isClosing = (token: string | undefined) => token === "}" || token === "]";
