import type { CheckStructure } from "./table-structure.ts";

/** Unlike the tokens of `src/sql-tokens.ts`, a number or an operator of several characters is one token. */
const token =
  /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\.?\d[\p{L}\p{N}_.]*|[\p{L}\p{N}_$]+|<>|[<>=!]=|<<|>>|\|\||->>?|\S/gu;

/** The tokens of SQL as they are written, without comments. */
function textsOf(sql: string): string[] {
  return [...sql.matchAll(token)].flatMap(([text]) => (/^(--|\/\*)/.test(text) ? [] : [text]));
}

/** Removes the quotes of names, and makes names and keywords lower case. Strings stay unchanged. */
function foldToken(text: string): string {
  if (text.startsWith("'")) return text;
  return (/^["`[]/.test(text) ? text.slice(1, -1) : text).toLowerCase();
}

function tokensOf(sql: string): string[] {
  return textsOf(sql).map(foldToken);
}

/** SQL in a form that can be compared. */
export function normalizeSql(sql: string): string {
  return joinTokens(tokensOf(sql));
}

/**
 * An expression in a form that can be compared: without parentheses around all of it or around one word, and without
 * the table's name before a column's, because there is one table.
 */
function joinTokens(all: readonly string[]): string {
  const tokens = all
    .filter((each, index) => each !== "." && all[index + 1] !== ".")
    .map((each) => spellings.get(each) ?? each);
  // From the end, so that inner parentheses are removed first.
  for (let start = tokens.length - 3; start >= 0; start--) {
    const [open, word, close] = tokens.slice(start, start + 3);
    if (open !== "(" || close !== ")" || word === undefined || word === ")") continue;
    const before = tokens[start - 1];
    // After a name they enclose arguments, and after IN a list.
    if (before !== undefined && /^[\p{L}\p{N}_$]/u.test(before) && !operators.has(before)) continue;
    tokens.splice(start, 3, word);
  }
  return withoutParentheses(tokens).join(" ");
}

const spellings: ReadonlyMap<string, string> = new Map([
  ["==", "="],
  ["!=", "<>"],
  ["notnull", "is not null"],
  ["isnull", "is null"],
]);

const operators: ReadonlySet<string> = new Set(
  "and or not is between like glob case when then else collate".split(" "),
);

/** The condition of a partial index; null if the index includes every row. */
export function conditionOfIndex(sql: string): string | null {
  const tokens = tokensOf(sql);
  const afterColumns = endOf(tokens, tokens.indexOf("(")) + 1;
  if (tokens[afterColumns] !== "where") return null;
  return joinTokens(tokens.slice(afterColumns + 1).filter((each) => each !== ";"));
}

/** A CHECK constraint in the definition of a table. Its name is null if it has none. */
export interface LiveCheck extends CheckStructure {
  /** A superset of the names in the condition, in lower case. */
  readonly words: ReadonlySet<string>;
  /** The condition as written, in parentheses. */
  readonly sql: string;
}

export function checksOfTable(sql: string): LiveCheck[] {
  const texts = textsOf(sql);
  const tokens = texts.map(foldToken);
  return tokens.flatMap((each, index) => {
    if (each !== "check" || tokens[index + 1] !== "(") return [];
    const [start, end] = [index + 1, endOf(tokens, index + 1) + 1];
    const condition = tokens.slice(start, end);
    return [
      {
        name: tokens[index - 2] === "constraint" ? (tokens[index - 1] ?? null) : null,
        condition: joinTokens(condition),
        words: new Set(condition),
        sql: texts.slice(start, end).join(" "),
      },
    ];
  });
}

/** The collations other than BINARY in the definition of a table, by the name of the column. */
export function collationsOfTable(sql: string): ReadonlyMap<string, string> {
  const collations = new Map<string, string>();
  const tokens = tokensOf(sql);
  let [depth, column] = [0, ""];
  for (const [index, each] of tokens.entries()) {
    const next = tokens[index + 1] ?? "";
    if (each === ")") depth -= 1;
    // The name of a column is first in the list, or after a comma that is outside of inner parentheses.
    if (depth === (each === "(" ? 0 : 1) && (each === "(" || each === ",")) column = next;
    if (each === "(") depth += 1;
    if (each === "collate" && depth === 1 && next !== "binary") collations.set(column, next);
  }
  return collations;
}

/** The actions of the ON CONFLICT clauses of a table that are not the default, ABORT. */
export function conflictActionsOf(sql: string): string[] {
  const tokens = tokensOf(sql);
  const actions = tokens.filter(
    (each, index) =>
      tokens[index - 2] === "on" && tokens[index - 1] === "conflict" && each !== "abort",
  );
  return [...new Set(actions)];
}

function withoutParentheses(tokens: readonly string[]): readonly string[] {
  return tokens[0] === "(" && endOf(tokens, 0) === tokens.length - 1
    ? withoutParentheses(tokens.slice(1, -1))
    : tokens;
}

/** The index of the parenthesis that closes the one at `start`. */
function endOf(tokens: readonly string[], start: number): number {
  let depth = 0;
  for (let index = start; index < tokens.length; index++) {
    if (tokens[index] === "(") depth += 1;
    if (tokens[index] === ")") depth -= 1;
    if (depth === 0) return index;
  }
  return tokens.length;
}
