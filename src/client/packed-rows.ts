import { Buffer, isUtf8 } from "node:buffer";
import type Database from "libsql";
import { BrokenText } from "../broken-text.ts";
import { statementsOf, tokensOf } from "../sql-tokens.ts";
import type { NativeValue } from "./bound-values.ts";
import type { NativeStatement } from "./native-statement.ts";
import { keywordOf } from "./statement-kinds.ts";

/** A cell of a packed row. `ReadInteger` has converted the integers. */
export type PackedCell = null | string | number | bigint | Uint8Array;

/** Converts the digits of an integer to a value. */
export type ReadInteger = (digits: string) => string | number | bigint;

/**
 * How the rows of a query are read: only the first one, one by one, or all in one cell. `all` is the fastest, but the
 * result is in memory twice for a moment.
 */
export type Packing = "first" | "each" | "all";

/**
 * How cells are packed.
 *
 * - `json`: one JSON array. The fastest for short cells.
 * - `raw`: a JSON array with a mark for each text, followed by the texts, because escaping a long text takes as long as
 *   reading it. Of a single row, only the columns in which a long text was found.
 * - `exact`: each cell as `quote` writes it. The other forms cannot represent blobs, text that has a NUL or is not
 *   UTF-8, and integers that a number cannot hold.
 */
type Form = "json" | "raw" | "exact";

/** The size of a row in characters above which `raw` is faster than `json`. */
const longRow = 2048;

/** The same for the only row of a result. */
const longFirstRow = 350;

/** The size in characters from which a text is long. */
const longText = 128;

/** The declared type of a column. An expression has none and is `other`. */
type Kind = "text" | "integer" | "real" | "other";

type Prepare = (sql: string) => NativeStatement;

/** Prepares a form. In the form `raw`, the columns `long` have marks. */
type PrepareForm = (form: Form, long: readonly number[]) => NativeStatement;

/** The marks of texts in the form `raw`. Any other value has 0, and null has null. */
const emptyText = 1;
const textBehind = 2;

/**
 * A query whose cells arrive in one blob.
 *
 * The binding ends the process when it reads text that is not UTF-8, which any program may have stored. It returns blobs
 * unchanged, and reading one blob takes less time than reading the cells of a row.
 */
export class PackedQuery {
  readonly #prepare: PrepareForm;
  readonly #packing: Packing;
  readonly #kinds: readonly Kind[];
  readonly #reals: readonly number[];
  readonly #texts: readonly number[];
  /** The columns whose texts follow the JSON array in the form `raw`. */
  #long: readonly number[];
  readonly #statements: Partial<Record<Form, NativeStatement>> = {};
  /** The form of the next use, by the size of the last result. */
  #form: Form;

  /** @throws if the statement cannot be prepared in its first form. */
  constructor(
    prepare: PrepareForm,
    packing: Packing,
    { kinds, form }: { readonly kinds: readonly Kind[]; readonly form: Form },
  ) {
    this.#prepare = prepare;
    this.#packing = packing;
    this.#kinds = kinds;
    this.#reals = indexesOf(kinds, "real");
    this.#texts = indexesOf(kinds, "text");
    this.#long = packing === "first" ? [] : this.#texts;
    this.#form = form;
    this.#statements[form] = prepare(form, this.#long);
  }

  rows(parameters: readonly NativeValue[], readInteger: ReadInteger | null): PackedCell[][] {
    const form = this.#form;
    const rows =
      form === "exact"
        ? null
        : this.#packing === "first"
          ? this.#readFirst(form, parameters, readInteger)
          : this.#readJson(form, parameters, readInteger);
    return rows ?? this.#readExact(parameters, readInteger);
  }

  /** `#readJson` for the most frequent case: one row. */
  #readFirst(
    form: "json" | "raw",
    parameters: readonly NativeValue[],
    readInteger: ReadInteger | null,
  ): PackedCell[][] | null {
    const found = this.#statement(form).get(parameters) as
      | readonly [string | Buffer, ...(number | null)[]]
      | undefined;
    if (found === undefined) return [];
    const [packed, ...reals] = found;
    const text = textOf(typeof packed === "string" ? Buffer.from(packed, "hex") : packed);
    if (text === null) return null;
    const [json = "", ...texts] = form === "raw" ? text.split("\0") : [text];
    if (json.includes("\\u0000")) return null;
    const row = JSON.parse(json) as PackedCell[];
    for (const [next, index] of this.#reals.entries()) {
      const number = reals[next] as number | null;
      // The cell is text or a blob: it is present, but is not a number.
      if (number === null && row[index] !== null) return null;
      row[index] = number;
    }
    const isLong = (index: number): boolean => String(row[index]).length >= longText;
    if (form === "raw") {
      if (this.#fillTexts(row, texts, 0) !== texts.length) return null;
      if (!this.#long.some(isLong)) this.#form = "json";
    }
    if (json.length > longFirstRow) this.#moveLongTexts(this.#texts.filter(isLong));
    return this.#complete(row, readInteger) ? [row] : null;
  }

  /** Reads these columns behind the JSON array from now on. */
  #moveLongTexts(columns: readonly number[]): void {
    if (columns.length === 0) return;
    this.#form = "raw";
    if (columns.every((index) => this.#long.includes(index))) return;
    this.#long = [...new Set([...this.#long, ...columns])];
    delete this.#statements.raw;
  }

  #statement(form: Form): NativeStatement {
    return (this.#statements[form] ??= this.#prepare(form, this.#long));
  }

  #blobs(form: Form, parameters: readonly NativeValue[]): readonly (readonly [Buffer | null])[] {
    const native = this.#statement(form);
    if (this.#packing === "each") return native.all(parameters) as [Buffer][];
    const row = native.get(parameters) as [Buffer | null] | undefined;
    return row === undefined ? [] : [row];
  }

  /** The rows; null if a cell needs the exact form. */
  #readJson(
    form: "json" | "raw",
    parameters: readonly NativeValue[],
    readInteger: ReadInteger | null,
  ): PackedCell[][] | null {
    const rows: PackedCell[][] = [];
    let bytes = 0;
    for (const [packed] of this.#blobs(form, parameters)) {
      const text = textOf(packed);
      if (text === null) return null;
      const [json = "", ...texts] = form === "raw" ? text.split("\0") : [text];
      if (json.includes("\\u0000")) return null;
      bytes += text.length;
      const parsed = JSON.parse(json) as PackedCell[] & PackedCell[][];
      let next = 0;
      for (const row of this.#packing === "all" ? (parsed as PackedCell[][]) : [parsed]) {
        if (form === "raw") next = this.#fillTexts(row, texts, next);
        if (!this.#complete(row, readInteger)) return null;
        rows.push(row);
      }
      // A text that has a NUL gives several parts.
      if (next !== texts.length) return null;
    }
    const areLong = bytes > longRow * rows.length && this.#long.length > 0;
    this.#form = areLong ? "raw" : "json";
    return rows;
  }

  /** Replaces the marks of texts by the texts from `next` on. Returns the index of the text after them. */
  #fillTexts(row: PackedCell[], texts: readonly string[], next: number): number {
    for (const index of this.#long) {
      if (row[index] === emptyText) row[index] = "";
      // Any other cell keeps its mark, and is read again in the exact form.
      else if (row[index] === textBehind) row[index] = unshared(texts[next++] ?? "");
    }
    return next;
  }

  /** False if a cell needs the exact form. */
  #complete(row: PackedCell[], readInteger: ReadInteger | null): boolean {
    for (let index = 0; index < row.length; index++) {
      const cell = row[index] as PackedCell;
      const kind = this.#kinds[index];
      if (kind === "other" || kind === "real") {
        if (typeof cell === "string") row[index] = cellOf(cell, readInteger ?? Number);
      } else if (typeof cell === "number") {
        if (kind === "text" || !Number.isSafeInteger(cell)) return false;
        if (readInteger !== null) row[index] = readInteger(String(cell));
      }
    }
    return true;
  }

  #readExact(parameters: readonly NativeValue[], readInteger: ReadInteger | null): PackedCell[][] {
    const width = this.#kinds.length;
    const rows: PackedCell[][] = [];
    for (const [blob] of this.#blobs("exact", parameters)) {
      if (blob === undefined || blob === null) continue;
      const cells = exactCellsOf(blob, readInteger ?? Number, readInteger !== null);
      for (let start = 0; start < cells.length; start += width) {
        rows.push(cells.slice(start, start + width));
      }
    }
    return rows;
  }
}

/** The packed form of a statement that returns rows of `columns`; null if it cannot be packed. */
export function packQuery(
  prepare: Prepare,
  sql: string,
  columns: readonly Database.ColumnDefinition[],
  packing: Packing,
): PackedQuery | null {
  const [statement = ""] = statementsOf(sql);
  if (!packable.test(keywordOf(statement))) return null;
  const kinds = columns.map(({ type }) => kindOf(type));
  try {
    const returning = packReturning(statement, columns);
    if (returning !== null) {
      const each = packing === "all" ? "each" : packing;
      return new PackedQuery(() => prepare(returning).raw(), each, { kinds, form: "exact" });
    }
    return new PackedQuery((form, long) => prepare(select(form, long)).raw(), packing, {
      kinds,
      form: kinds.length > maxArguments ? "exact" : "json",
    });
  } catch {
    // The statement is run unpacked, which reports its error if it has one.
    return null;
  }

  function select(form: Form, long: readonly number[]): string {
    const all = packing === "all";
    const isSingle = packing === "first" && form !== "exact";
    const names = columns.map((_, index) => `c${index}`);
    const reals = names.filter((_, index) => kinds[index] === "real");
    const texts = long.map((index) => `c${index}`);
    const json = names.map((name, index) => {
      if (kinds[index] === "real" && isSingle) return `${name} < ''`;
      if (kinds[index] === "real" || kinds[index] === "other") return quoted(name);
      // A column of a union may have numbers, too.
      if (form === "raw" && long.includes(index)) {
        return `(+${name} >= '') + (+${name} > '') - 2 * (${name} >= x'')`;
      }
      // SQLite reads some blobs as JSON. 0.5 marks a blob, because no text and no integer gives it.
      return `iif(${name} >= x'', 0.5, ${name})`;
    });
    const array = `json_array(${json.join()})`;
    const exact = join(
      names.map((name) => `iif(${hasNul(name)}, 'T' || hex(${name}), ${quoted(name)})`),
    );
    const packed = {
      json: all ? `json_group_array(${array})` : array,
      // `concat_ws` omits empty texts, and a row that has no other texts adds nothing.
      raw: all
        ? join([`json_group_array(${array})`, `group_concat(nullif(${join(texts)}, ''), char(0))`])
        : join([array, ...texts]),
      exact: all ? `group_concat(${exact}, char(0))` : exact,
    }[form];
    const cells = [
      // Hex digits of a short text take less time than a buffer of the binding.
      isSingle && form === "json" ? `hex(${packed})` : asBlob(packed),
      ...(isSingle ? reals.map((name) => `iif(${name} < '', ${name}, null)`) : []),
    ];
    const isPlain = packing === "first" && selectsPlainColumns(statement, columns);
    return selectCells(statement, names, cells, isPlain ? rowsOfQuery : rowsComputedOnce);
  }
}

/** The query `statement` with each row packed into one blob, which `exactCellsOf` reads. */
export function exactQuery(statement: string, width: number): string {
  const names = Array.from({ length: width }, (_, index) => `c${index}`);
  return selectCells(statement, names, [asBlob(join(names.map(quoted)))], rowsComputedOnce);
}

function selectCells(
  statement: string,
  names: readonly string[],
  cells: readonly string[],
  rows: string,
): string {
  return `with "gorkflow query"(${names.join()}) as (${statement}
) select ${cells.join()} from ${rows}`;
}

/** SQLite replaces names with the expressions of the query. This costs nothing if they are columns of a table. */
const rowsOfQuery = `"gorkflow query"`;

/** Computes each expression once, even if its name is used several times. The offset keeps SQLite from merging the queries. */
const rowsComputedOnce = `(select * from ${rowsOfQuery} limit -1 offset 0)`;

/** True if every cell is a column of a table, and not of a view or a subquery. */
function selectsPlainColumns(
  statement: string,
  columns: readonly Database.ColumnDefinition[],
): boolean {
  const names = Array.from(tokensOf(statement), ({ kind, text }) =>
    (kind === "quoted" ? text.slice(1, -1) : text).toLowerCase(),
  );
  return (
    names.filter((name) => name === "select").length === 1 &&
    columns.every(({ table }) => table !== null && names.includes(table.toLowerCase()))
  );
}

function asBlob(expression: string): string {
  return `cast(${expression} as blob)`;
}

const packable = /^(?:select|with|values|insert|update|delete|replace)$/;

function indexesOf(kinds: readonly Kind[], kind: Kind): number[] {
  return kinds.flatMap((other, index) => (other === kind ? [index] : []));
}

function kindOf(type: string | null): Kind {
  if (type?.toLowerCase() === "text") return "text";
  if (type?.toLowerCase() === "real") return "real";
  return type !== null && /int/i.test(type) ? "integer" : "other";
}

/** The first byte of a text that has a NUL, in the exact form. The hex digits of its bytes follow. */
const markOfNul = "T".charCodeAt(0);

function hasNul(name: string): string {
  return `typeof(${name}) = 'text' and instr(${name}, char(0))`;
}

/** A cell as SQL text. A text ends at its first NUL, as in the binding. */
function quoted(expression: string): string {
  return `quote(${expression})`;
}

/** The cells with a NUL between them. Nulls are omitted, empty texts, too. SQLite accepts at most 127 arguments. */
function join(cells: readonly string[]): string {
  if (cells.length <= maxArguments) return `concat_ws(char(0), ${cells.join()})`;
  const parts: string[] = [];
  for (let start = 0; start < cells.length; start += maxArguments) {
    parts.push(join(cells.slice(start, start + maxArguments)));
  }
  return join(parts);
}

const maxArguments = 100;

/** The statement with its RETURNING clause packed; null if it has none. @throws if the clause is not understood. */
function packReturning(
  statement: string,
  columns: readonly Database.ColumnDefinition[],
): string | null {
  let depth = 0;
  let clause: number | null = null;
  const parts: { start: number; end: number }[] = [];
  for (const { kind, text, start } of tokensOf(statement)) {
    if (text === "(") depth += 1;
    else if (text === ")") depth -= 1;
    if (depth > 0) continue;
    const word = kind === "word" ? text.toLowerCase() : text;
    if (clause === null) {
      if (word !== "returning") continue;
      clause = start;
      parts.push({ start: start + text.length, end: statement.length });
      continue;
    }
    const part = parts.at(-1);
    if (part === undefined) continue;
    if (word === ",") {
      part.end = Math.min(part.end, start);
      parts.push({ start: start + 1, end: statement.length });
    } else if (word === "as") part.end = start;
  }
  if (clause === null) return null;
  const expressions = parts.map(({ start, end }) => statement.slice(start, end).trim());
  const cells =
    expressions[0] === "*" && expressions.length === 1
      ? columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`)
      : expressions;
  if (cells.length !== columns.length) throw new TypeError("RETURNING names tables with *");
  return `${statement.slice(0, clause)} returning cast(${join(cells.map((cell) => quoted(`${cell}\n`)))} as blob)`;
}

/** Null for bytes that are not UTF-8. */
function textOf(blob: Buffer | null | undefined): string | null {
  if (blob === undefined || blob === null) return "";
  const text = blob.toString();
  // The decoder replaces bytes that are not UTF-8 with this character, but a text may contain it too.
  return text.includes("\uFFFD") && !isUtf8(blob) ? null : text;
}

/**
 * The cells of a row in the exact form. A text with a NUL ends there, as in the binding, unless `endsAtNul` is false.
 */
export function exactCellsOf(
  blob: Buffer,
  readInteger: ReadInteger,
  endsAtNul = true,
): PackedCell[] {
  const cells: PackedCell[] = [];
  for (let start = 0; start <= blob.length;) {
    const nul = blob.indexOf(0, start);
    const end = nul === -1 ? blob.length : nul;
    const bytes = blob.subarray(start, end);
    if (bytes[0] === markOfNul) {
      const text = Buffer.from(bytes.toString("latin1", 1), "hex");
      cells.push(textOrBytes(endsAtNul ? text.subarray(0, text.indexOf(0)) : text));
    } else if (isUtf8(bytes)) {
      cells.push(cellOf(bytes.toString(), readInteger));
    } else {
      const text = bytes.toString("latin1").slice(1, -1).replaceAll("''", "'");
      cells.push(new BrokenText(Buffer.from(text, "latin1")));
    }
    start = end + 1;
  }
  return cells;
}

function textOrBytes(bytes: Buffer): string | BrokenText {
  return isUtf8(bytes) ? bytes.toString() : new BrokenText(bytes);
}

/** The value of a literal in SQL text. */
function cellOf(sql: string, readInteger: ReadInteger): PackedCell {
  switch (sql[0]) {
    case "'":
      return sql.slice(1, -1).replaceAll("''", "'");
    case "N":
      return null;
    case "X":
      return Buffer.from(sql.slice(2, -1), "hex");
    default:
      if (sql.endsWith("Inf")) return sql === "Inf" ? Infinity : -Infinity;
      return sql.includes(".") ? Number(sql) : readInteger(sql);
  }
}

/** A copy of a short text, such as an id. A slice would keep the text of all rows in memory. */
function unshared(text: string): string {
  return text.length > 12 && text.length < 256 ? ` ${text}`.slice(1) : text;
}
