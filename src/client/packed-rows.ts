import { Buffer, isUtf8 } from "node:buffer";
import type Database from "libsql";
import { statementsOf, tokensOf } from "./sql-tokens.ts";
import { keywordOf } from "./statement-kinds.ts";

/** A cell of a packed row. Integers are what `ReadInteger` makes of them. */
export type PackedCell = null | string | number | bigint | Uint8Array;

/** Makes a value of the digits of an integer. */
export type ReadInteger = (digits: string) => string | number | bigint;

/** Text that is not UTF-8, where a row has it in place of the text. */
export class BrokenText extends Uint8Array {}

/**
 * How the rows of a query are read: the first one, each alone, or all together. `all` is the fastest, and holds the whole
 * result twice for a moment.
 */
export type Packing = "first" | "each" | "all";

/**
 * How cells are packed.
 *
 * - `json`: one JSON array. The fastest for short cells.
 * - `raw`: texts stand behind the array, since escaping a long one takes as long as reading it.
 * - `exact`: each cell by `quote`, for what the others cannot tell: a blob, text that has a NUL or is not UTF-8, an
 *   integer that a number cannot hold.
 */
type Form = "json" | "raw" | "exact";

/** From this size of a row on, `raw` is faster than `json`. */
const longRow = 2048;

/** What the declared type of a column says of its cells. An expression has none. */
type Kind = "text" | "integer" | "real" | "other";

type Prepare = (sql: string) => Database.Statement;

/**
 * A query whose cells arrive in one blob.
 *
 * The binding ends the process when it reads text that is not UTF-8, which any program may have stored. It hands a blob
 * out unchanged, and one blob takes less time than the cells of a row.
 */
export class PackedQuery {
  readonly #prepare: (form: Form) => Database.Statement;
  readonly #packing: Packing;
  readonly #kinds: readonly Kind[];
  readonly #reals: readonly number[];
  readonly #statements: Partial<Record<Form, Database.Statement>> = {};
  /** The form of the next use, by the size of the last result. */
  #form: Form;

  /** @throws if the statement cannot be prepared in its first form. */
  constructor(
    prepare: (form: Form) => Database.Statement,
    packing: Packing,
    { kinds, form }: { readonly kinds: readonly Kind[]; readonly form: Form },
  ) {
    this.#prepare = prepare;
    this.#packing = packing;
    this.#kinds = kinds;
    this.#reals = kinds.flatMap((kind, index) => (kind === "real" ? [index] : []));
    this.#form = form;
    this.#statements[form] = prepare(form);
  }

  rows(parameters: unknown, readInteger: ReadInteger | null): PackedCell[][] {
    const form = this.#form;
    const rows =
      form === "json" && this.#packing === "first"
        ? this.#readFirst(parameters, readInteger)
        : form === "exact"
          ? null
          : this.#readJson(form, parameters, readInteger);
    return rows ?? this.#readExact(parameters, readInteger ?? Number);
  }

  /** As `#readJson`, for the most frequent query. */
  #readFirst(parameters: unknown, readInteger: ReadInteger | null): PackedCell[][] | null {
    const native = (this.#statements.json ??= this.#prepare("json"));
    const found = native.get(parameters) as readonly [string, ...(number | null)[]] | undefined;
    if (found === undefined) return [];
    const json = textOf(Buffer.from(found[0], "hex"));
    if (json === null || json.includes("\\u0000")) return null;
    if (json.length > longRow) this.#form = "raw";
    const row = JSON.parse(json) as PackedCell[];
    let next = 1;
    for (const index of this.#reals) {
      const number = found[next++] as number | null;
      // Null behind a cell that is present: it is text or a blob.
      if (number === null && row[index] !== null) return null;
      row[index] = number;
    }
    return this.#complete(row, readInteger) ? [row] : null;
  }

  #blobs(form: Form, parameters: unknown): readonly (readonly (Buffer | null)[])[] {
    const native = (this.#statements[form] ??= this.#prepare(form));
    if (this.#packing === "each") return native.all(parameters) as Buffer[][];
    const row = native.get(parameters) as Buffer[] | undefined;
    return row === undefined ? [] : [row];
  }

  /** Null if a cell needs the exact form. */
  #readJson(
    form: "json" | "raw",
    parameters: unknown,
    readInteger: ReadInteger | null,
  ): PackedCell[][] | null {
    const rows: PackedCell[][] = [];
    let bytes = 0;
    for (const [packed, behind] of this.#blobs(form, parameters)) {
      const json = textOf(packed);
      const texts = textOf(behind);
      if (json === null || texts === null || json.includes("\\u0000")) return null;
      bytes += json.length + texts.length;
      const parts = form === "raw" ? texts.split("\0") : [];
      const parsed = JSON.parse(json) as PackedCell[] & PackedCell[][];
      let next = 0;
      for (const row of this.#packing === "all" ? (parsed as PackedCell[][]) : [parsed]) {
        if (form === "raw") next = this.#fillTexts(row, parts, next + 1);
        if (!this.#complete(row, readInteger)) return null;
        rows.push(row);
      }
      if (form === "raw" && next !== (rows.length === 0 ? 0 : parts.length)) return null;
    }
    this.#form = bytes > longRow * rows.length ? "raw" : "json";
    return rows;
  }

  /** Replaces the mark of each text by the text. The parts of a row begin with a mark of their own. */
  #fillTexts(row: PackedCell[], parts: readonly string[], start: number): number {
    let next = start;
    for (let index = 0; index < row.length; index++) {
      if (this.#kinds[index] !== "text" || row[index] === null) continue;
      // Any other cell keeps its mark, and is read again in the exact form.
      if (row[index] === 1) row[index] = unshared(parts[next++] ?? "");
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

  #readExact(parameters: unknown, readInteger: ReadInteger): PackedCell[][] {
    const width = this.#kinds.length;
    const rows: PackedCell[][] = [];
    for (const [blob] of this.#blobs("exact", parameters)) {
      if (blob === undefined || blob === null) continue;
      const cells = exactCellsOf(blob, readInteger);
      for (let start = 0; start < cells.length; start += width) {
        rows.push(cells.slice(start, start + width));
      }
    }
    return rows;
  }
}

/** Null for a statement that cannot be packed. It gives rows of `columns`. */
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
      return new PackedQuery(() => prepare(returning).raw(true), each, { kinds, form: "exact" });
    }
    return new PackedQuery((form) => prepare(select(form)).raw(true), packing, {
      kinds,
      form: kinds.length > maxArguments ? "exact" : "json",
    });
  } catch {
    // The statement itself runs, or has an error of its own.
    return null;
  }

  function select(form: Form): string {
    const all = packing === "all";
    const isShort = packing === "first" && form === "json";
    const names = columns.map((_, index) => `c${index}`);
    const texts = names.filter((_, index) => kinds[index] === "text");
    const reals = names.filter((_, index) => kinds[index] === "real");
    const json = names.map((name, index) => {
      if (kinds[index] === "real" && isShort) return `${name} < ''`;
      if (kinds[index] === "real" || kinds[index] === "other") return quoted(name);
      // 1 for a text; 0 for a number, which a union may have, and for a blob.
      if (kinds[index] === "text" && form === "raw") return `(+${name} >= '') - (${name} >= x'')`;
      // SQLite takes some blobs for JSON. No text and no integer is this number.
      return `iif(${name} >= x'', 0.5, ${name})`;
    });
    const array = `json_array(${json.join()})`;
    // Some versions of SQLite leave out the separator behind an empty text.
    const behind = join(["'-'", ...texts]);
    const exact = join(names.map(quoted));
    const blobs =
      form === "exact"
        ? [all ? `group_concat(${exact}, char(0))` : exact]
        : [
            all ? `json_group_array(${array})` : array,
            ...(form === "raw" ? [all ? `group_concat(${behind}, char(0))` : behind] : []),
          ];
    // For a short row, the digits of the bytes take less time than a buffer of the binding.
    const cells = isShort
      ? [`hex(${array})`, ...reals.map((name) => `iif(${name} < '', ${name}, null)`)]
      : blobs.map(asBlob);
    const isPlain = packing === "first" && selectsPlainColumns(statement, columns);
    return selectCells(statement, names, cells, isPlain ? rowsOfQuery : rowsComputedOnce);
  }
}

/** The query of `statement`, which is a query itself, whose rows are one blob each. `exactCellsOf` reads them. */
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

/** SQLite puts the expressions of the query in place of their names. That costs a column of a table nothing. */
const rowsOfQuery = `"gorkflow query"`;

/** Computes each expression once, however often its name is used. The offset keeps SQLite from merging the queries. */
const rowsComputedOnce = `(select * from ${rowsOfQuery} limit -1 offset 0)`;

/** True if every cell is a column of a table, and neither of a view nor of a query inside the statement. */
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

function kindOf(type: string | null): Kind {
  if (type?.toLowerCase() === "text") return "text";
  if (type?.toLowerCase() === "real") return "real";
  return type !== null && /int/i.test(type) ? "integer" : "other";
}

/** A cell as SQL text. A text is cut at a NUL, as the binding cuts it. */
function quoted(expression: string): string {
  return `quote(${expression})`;
}

/** SQLite takes 127 arguments at most. */
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
  // The decoder puts this character in place of bytes that are not UTF-8, but a text may have it, too.
  return text.includes("\uFFFD") && !isUtf8(blob) ? null : text;
}

/** The cells of a row in the exact form. */
export function exactCellsOf(blob: Buffer, readInteger: ReadInteger): PackedCell[] {
  const cells: PackedCell[] = [];
  for (let start = 0; start <= blob.length;) {
    const nul = blob.indexOf(0, start);
    const end = nul === -1 ? blob.length : nul;
    const bytes = blob.subarray(start, end);
    cells.push(isUtf8(bytes) ? cellOf(bytes.toString(), readInteger) : new BrokenText(bytes));
    start = end + 1;
  }
  return cells;
}

/** The value that SQL text stands for. */
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

/** A copy of a short text, such as an id: a part of the text of all rows would keep that in memory. */
function unshared(text: string): string {
  return text.length > 12 && text.length < 256 ? ` ${text}`.slice(1) : text;
}
