const token =
  /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[\p{L}\p{N}_$.]+|<>|[<>=!]=|<<|>>|\|\||->>?|\S/gu;

/** The tokens of SQL without what makes no difference: comments, quotes of names, upper case of words. */
function tokensOf(sql: string): string[] {
  return [...sql.matchAll(token)].flatMap(([text]) => {
    if (text.startsWith("--") || text.startsWith("/*")) return [];
    // A string is a value: every letter of it counts.
    if (text.startsWith("'")) return [text];
    return [(/^["`[]/.test(text) ? text.slice(1, -1) : text).toLowerCase()];
  });
}

/** SQL that can be compared: its tokens, without parentheses around all of them. */
export function normalizeSql(sql: string): string {
  return withoutParentheses(tokensOf(sql)).join(" ");
}

/** The condition of a partial index; null when the index has every row. */
export function conditionOfIndex(sql: string): string | null {
  const tokens = tokensOf(sql);
  const afterColumns = endOf(tokens, tokens.indexOf("(")) + 1;
  if (tokens[afterColumns] !== "where") return null;
  const condition = tokens.slice(afterColumns + 1).filter((each) => each !== ";");
  return withoutParentheses(condition).join(" ");
}

/** The CHECK constraints in a table's definition; a name is null where it has none. */
export function checksOfTable(
  sql: string,
): { readonly name: string | null; readonly condition: string }[] {
  const tokens = tokensOf(sql);
  return tokens.flatMap((each, index) => {
    if (each !== "check" || tokens[index + 1] !== "(") return [];
    const condition = tokens.slice(index + 1, endOf(tokens, index + 1) + 1);
    return [
      {
        name: tokens[index - 2] === "constraint" ? (tokens[index - 1] ?? null) : null,
        condition: withoutParentheses(condition).join(" "),
      },
    ];
  });
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
