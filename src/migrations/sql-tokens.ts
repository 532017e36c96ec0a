const token =
  /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\.?\d[\p{L}\p{N}_.]*|[\p{L}\p{N}_$]+|<>|[<>=!]=|<<|>>|\|\||->>?|\S/gu;

/** The parts of SQL as they are written, without comments. */
function textsOf(sql: string): string[] {
  return [...sql.matchAll(token)].flatMap(([text]) => (/^(--|\/\*)/.test(text) ? [] : [text]));
}

/** A part without what makes no difference: quotes of names, upper case of words. Every letter of a string counts. */
function foldToken(text: string): string {
  if (text.startsWith("'")) return text;
  return (/^["`[]/.test(text) ? text.slice(1, -1) : text).toLowerCase();
}

function tokensOf(sql: string): string[] {
  return textsOf(sql).map(foldToken);
}

/** SQL that can be compared. */
export function normalizeSql(sql: string): string {
  return joinTokens(tokensOf(sql));
}

/**
 * What an expression means, as text. Parentheses around all of it or around one word make no difference, nor does the
 * table's name before a column's: there is one table.
 */
function joinTokens(all: readonly string[]): string {
  const tokens = all
    .filter((each, index) => each !== "." && all[index + 1] !== ".")
    .map((each) => spellings.get(each) ?? each);
  // From the end, so that the inner ones go first.
  for (let start = tokens.length - 3; start >= 0; start--) {
    const [open, word, close] = tokens.slice(start, start + 3);
    if (open !== "(" || close !== ")" || word === undefined || word === ")") continue;
    const before = tokens[start - 1];
    // Behind a name they hold arguments, and behind IN a list.
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

/** The condition of a partial index; null when the index has every row. */
export function conditionOfIndex(sql: string): string | null {
  const tokens = tokensOf(sql);
  const afterColumns = endOf(tokens, tokens.indexOf("(")) + 1;
  if (tokens[afterColumns] !== "where") return null;
  const condition = tokens.slice(afterColumns + 1).filter((each) => each !== ";");
  return joinTokens(condition);
}

/** The CHECK constraints in a table's definition; a name is null where it has none. */
export function checksOfTable(sql: string): Check[] {
  const texts = textsOf(sql);
  const tokens = texts.map(foldToken);
  return tokens.flatMap((each, index) => {
    if (each !== "check" || tokens[index + 1] !== "(") return [];
    const [start, end] = [index + 1, endOf(tokens, index + 1) + 1];
    return [
      {
        name: tokens[index - 2] === "constraint" ? (tokens[index - 1] ?? null) : null,
        condition: joinTokens(tokens.slice(start, end)),
        words: new Set(tokens.slice(start, end)),
        sql: texts.slice(start, end).join(" "),
      },
    ];
  });
}

interface Check {
  readonly name: string | null;
  readonly condition: string;
  /** The names in it are among these, in lower case. */
  readonly words: ReadonlySet<string>;
  /** The condition as it is written, in parentheses. */
  readonly sql: string;
}

/** The columns in a table's definition that compare by another collation than the bytes, and by which. */
export function collationsOfTable(sql: string): ReadonlyMap<string, string> {
  const collations = new Map<string, string>();
  const tokens = tokensOf(sql);
  let [depth, column] = [0, ""];
  for (const [index, each] of tokens.entries()) {
    const next = tokens[index + 1] ?? "";
    if (each === ")") depth -= 1;
    // What stands first, and behind each comma outside of inner parentheses, is a column's name.
    if (depth === (each === "(" ? 0 : 1) && (each === "(" || each === ",")) column = next;
    if (each === "(") depth += 1;
    if (each === "collate" && depth === 1 && next !== "binary") collations.set(column, next);
  }
  return collations;
}

function withoutParentheses(tokens: readonly string[]): readonly string[] {
  return tokens[0] === "(" && endOf(tokens, 0) === tokens.length - 1
    ? withoutParentheses(tokens.slice(1, -1))
    : tokens;
}

/** Where the parenthesis at `start` is closed. */
function endOf(tokens: readonly string[], start: number): number {
  let depth = 0;
  for (let index = start; index < tokens.length; index++) {
    if (tokens[index] === "(") depth += 1;
    if (tokens[index] === ")") depth -= 1;
    if (depth === 0) return index;
  }
  return tokens.length;
}
