/** A token of SQL text, as SQLite defines it. White space and comments are skipped. */
interface SqlToken {
  readonly kind: "word" | "quoted" | "string" | "parameter" | "symbol";
  readonly text: string;
  readonly start: number;
}

const tokenPattern = new RegExp(
  [
    String.raw`(?<blank>[\s\0]+|--[^\n]*|/\*(?=[^])[^]*?(?:\*/|$))`,
    "(?<quote>['\"`[])",
    String.raw`(?<parameter>\?\d*|[$@:#](?:[\w$\x80-\uffff]|::)+(?:\([^\s)]*\))?)`,
    String.raw`(?<word>[\w$\x80-\uffff]+)`,
    String.raw`(?<symbol>[^])`,
  ].join("|"),
  "y",
);

export function* tokensOf(sql: string): Generator<SqlToken> {
  const pattern = new RegExp(tokenPattern);
  for (let match = pattern.exec(sql); match !== null; match = pattern.exec(sql)) {
    const { blank, quote, parameter, word } = match.groups ?? {};
    if (blank !== undefined) continue;
    const start = match.index;
    if (quote !== undefined) pattern.lastIndex = endOfQuoted(sql, start + 1, quote);
    const kind =
      word !== undefined
        ? "word"
        : parameter !== undefined
          ? "parameter"
          : quote === undefined
            ? "symbol"
            : quote === "'"
              ? "string"
              : "quoted";
    yield { kind, text: sql.slice(start, pattern.lastIndex), start };
  }
}

/** The end of a text in quotes. A regular expression would overflow its stack at a long text. */
function endOfQuoted(sql: string, start: number, quote: string): number {
  const closing = quote === "[" ? "]" : quote;
  for (let from = start; ;) {
    const end = sql.indexOf(closing, from);
    if (end === -1) return sql.length;
    // Two quotes stand for one in the text.
    if (closing === "]" || sql[end + 1] !== closing) return end + 1;
    from = end + 2;
  }
}

/**
 * The parameters of the first statement in order: the name without its prefix, or null for `?`.
 *
 * The binding ends the process if it is asked for the name of a parameter without one, and a statement keeps the
 * values of its last use. So every call must bind every parameter by position.
 */
export function parametersOf(sql: string): readonly (string | null)[] {
  // Most statements without parameters are recognized without splitting them.
  if (!/[?$@:#]/.test(sql)) return [];
  const names: (string | null)[] = [];
  const positions = new Map<string, number>();
  let hasBegun = false;
  for (const { kind, text } of tokensOf(sql)) {
    if (text === ";") {
      if (hasBegun) break;
      continue;
    }
    hasBegun = true;
    if (kind !== "parameter" || positions.has(text)) continue;
    const numbered = /^\?(\d+)$/.exec(text);
    if (numbered !== null) {
      const position = Number(numbered[1]);
      // SQLite rejects a larger number when it prepares the statement.
      if (position > maxParameters) continue;
      while (names.length < position) names.push(null);
      names[position - 1] ??= String(numbered[1]);
    } else if (text === "?") {
      names.push(null);
    } else {
      positions.set(text, names.push(text.slice(1)));
    }
  }
  return names;
}

const maxParameters = 32_766;

/**
 * The non-empty statements of a script, without the comments behind them. The body of a trigger is part of its statement.
 */
export function statementsOf(script: string): string[] {
  const statements: string[] = [];
  let start = 0;
  let end = 0;
  let words: string[] = [];
  let previous = "";
  let beforePrevious = "";
  for (const { kind, text, start: position } of tokensOf(script)) {
    if (text === ";" && kind === "symbol") {
      const isTrigger = createsTrigger.test(words.join(" "));
      if (!isTrigger || (previous === "end" && beforePrevious === ";")) {
        if (words.length > 0) statements.push(script.slice(start, end));
        start = position + 1;
        words = [];
      }
    } else if (words.length < 5) {
      words.push(text.toLowerCase());
    }
    end = position + text.length;
    beforePrevious = previous;
    previous = text.toLowerCase();
  }
  if (words.length > 0) statements.push(script.slice(start, end));
  return statements;
}

/** The rule of SQLite's own shell for the start of a trigger. */
const createsTrigger = /^(?:explain (?:query plan )?)?create (?:temp |temporary )?trigger\b/;
