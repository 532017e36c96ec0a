import type { Hash } from "node:crypto";
import * as z from "zod/mini";
import {
  CorruptRowError,
  ExportTooNewError,
  InvalidArgumentError,
  InvalidExportError,
  InvalidValueError,
} from "../../errors.ts";
import { parseJson } from "../../json.ts";
import { compiledMigrations } from "../../migrations/compiled.ts";
import { parseBundle, type RunBundle } from "../../model/bundles.ts";
import { withoutDerivedInput } from "../../model/step-inputs.ts";
import { bundleParts, rowsOf, type BundlePart, type BundleRow } from "../bundle-parts.ts";

/**
 * An export has a header, a line for each bundle, oldest first, and a trailer.
 *
 * The version is raised when an older reader would misunderstand the lines. A new table or column does not raise it:
 * the header lists the columns, so that a reader refuses those that it does not know, and a bundle may lack what its
 * writer did not know.
 */
const formatVersion = 1;
const formatName = "gorkflow-export";

/** The last migration: it made the columns of an export. */
const schemaVersion = compiledMigrations.at(-1)?.tag ?? "";

const headerSchema = z.object({
  format: z.literal(formatName),
  version: z.int().check(z.minimum(1)),
  schemaVersion: z.string(),
  exportedAt: z.iso.datetime(),
  columns: z.record(z.string(), z.array(z.string())),
});

const trailerSchema = z.strictObject({
  format: z.literal(`${formatName}-end`),
  runs: z.int().check(z.minimum(0)),
  /** Runs that could not be read when the export was written. */
  corrupt: z.array(
    z.strictObject({
      table: z.string(),
      key: z.record(z.string(), z.string()),
      column: z.string(),
    }),
  ),
  /** Of all lines before this one, each with its line feed, and of `corrupt` as JSON unless it is empty. */
  sha256: z.hash("sha256"),
});
type Trailer = z.output<typeof trailerSchema>;

function checksumOf(lines: Hash, corrupt: Trailer["corrupt"] = []): string {
  const hash = lines.copy();
  if (corrupt.length > 0) hash.update(JSON.stringify(corrupt));
  return hash.digest("hex");
}

export function encodeHeader(exportedAt: Date): string {
  return JSON.stringify({
    format: formatName,
    version: formatVersion,
    schemaVersion,
    exportedAt: exportedAt.toISOString(),
    columns: Object.fromEntries(bundleParts.map(({ name, properties }) => [name, [...properties]])),
  } satisfies z.output<typeof headerSchema>);
}

/** `lines` is the hash of all lines before the trailer. */
export function encodeTrailer(runs: number, errors: readonly CorruptRowError[], lines: Hash) {
  const corrupt = errors.map(({ table, key, column }) => ({ table, key: { ...key }, column }));
  const sha256 = checksumOf(lines, corrupt);
  return JSON.stringify({ format: `${formatName}-end`, runs, corrupt, sha256 } satisfies Trailer);
}

/** A longer run gets several lines, because a string cannot be longer than 512 MiB. */
const maxLineLength = 64 * 1024 * 1024;

/**
 * The lines of a bundle: one, except for the largest runs. Times are ISO 8601; everything else is JSON unchanged.
 *
 * @throws {CorruptRowError} for a value that an import would refuse.
 */
export function encodeBundle(bundle: RunBundle, maxLength = maxLineLength): string[] {
  const { runId } = bundle.run;
  // An input that is derived from outputs may be larger than what a store accepts.
  const stored = { ...bundle, steps: bundle.steps.map(withoutDerivedInput) };
  const lines: Partial<Record<keyof RunBundle, string[]>>[] = [];
  let length = Infinity;
  for (const part of bundleParts) {
    for (const row of rowsOf(stored, part)) {
      const text = encodeRow(row, part, runId);
      if (length + text.length > maxLength) {
        lines.push({});
        length = 0;
      }
      (lines.at(-1)![part.name] ??= []).push(text);
      length += text.length;
    }
  }
  return lines.map((rows) => {
    const head = rows.run ? `"run":${rows.run.join("")}` : `"continues":${JSON.stringify(runId)}`;
    const children = bundleParts.slice(1);
    const lists = children.map(({ name }) => `"${name}":[${(rows[name] ?? []).join(",")}]`);
    return `{${[head, ...lists].join(",")}}`;
  });
}

function encodeRow(row: BundleRow, part: BundlePart, runId: string): string {
  const { columns, payloads, keys, properties, table, schema } = part;
  const corrupt = (property: string, cause: unknown) => {
    const names = keys.map((each) => [columns[each]?.name ?? each, String(row[each])] as const);
    const key = { run_id: runId, ...Object.fromEntries(names) };
    const column = columns[property]?.name ?? property;
    return new CorruptRowError({ table, key, column }, { cause });
  };
  const { error } = schema.safeParse(row);
  if (error !== undefined) throw corrupt(String(error.issues[0]?.path[0]), error);
  const cells = properties.flatMap((property) => {
    const value = row[property];
    const column = columns[property];
    if (value === undefined || column === undefined) return [];
    try {
      const isJson = payloads.has(property) && (value !== null || column.notNull);
      const text = isJson ? String(column.mapToDriverValue(value)) : JSON.stringify(value);
      return [`${JSON.stringify(property)}:${text}`];
    } catch (cause) {
      throw cause instanceof InvalidValueError ? corrupt(property, cause) : cause;
    }
  });
  return `{${cells.join(",")}}`;
}

/**
 * Passes if the first line is the header of an export that this version can read.
 *
 * @throws {InvalidExportError} if it is not a header.
 * @throws {ExportTooNewError} if a later version wrote it.
 */
export function checkHeader(record: RecordLine): void {
  const header = headerSchema.safeParse(record);
  if (!header.success) {
    throw new InvalidExportError({ line: 1, reason: "is not the header of an export" });
  }
  const { version, columns } = header.data;
  if (version > formatVersion) {
    throw new ExportTooNewError({
      reason: `its format is ${version}, and the newest known here is ${formatVersion}`,
    });
  }
  for (const [name, properties] of Object.entries(columns)) {
    const known = bundleParts.find((part) => part.name === name)?.properties;
    const unknown = properties.find((property) => known?.includes(property) !== true);
    if (unknown !== undefined) {
      throw new ExportTooNewError({
        reason: `its schema is ${header.data.schemaVersion}, which has ${name}.${unknown}; the one here is ${schemaVersion}`,
      });
    }
  }
}

/** The content of a line between header and trailer: a run, or more rows of the run before. */
export type RecordLine = Readonly<Record<string, unknown>>;

/** @throws {InvalidExportError} if the line is not a JSON object. */
export function parseLine(text: string, line: number): RecordLine {
  const value = parseJson(text);
  if (typeof value === "object" && value !== null) return value as RecordLine;
  const reason =
    value === undefined
      ? "is not JSON, or has a number that would not be kept exactly"
      : "is not a JSON object";
  throw new InvalidExportError({ line, reason });
}

/**
 * The cells that the trailer names; null if the line is a run. `lines` is the hash of the lines before it.
 *
 * @throws {InvalidExportError} if the trailer is damaged, or does not belong to the lines before it.
 */
export function parseTrailer(
  record: RecordLine,
  line: number,
  runs: number,
  lines: Hash,
): readonly CorruptRowError[] | null {
  if (!("format" in record)) return null;
  const refused = (reason: string) => new InvalidExportError({ line, reason });
  const { data } = trailerSchema.safeParse(record);
  if (data === undefined) throw refused("is a trailer that cannot be read");
  if (data.runs !== runs) {
    throw refused(`says that the export has ${data.runs} runs, and there are ${runs}`);
  }
  // In older exports, the checksum does not cover the unreadable runs.
  if (![checksumOf(lines, data.corrupt), checksumOf(lines)].includes(data.sha256)) {
    throw refused("has another checksum than the lines before it: one of them was changed");
  }
  return data.corrupt.map((cell) => new CorruptRowError(cell));
}

/** The run of a line with the rows of a line that continues it; null if it does not. */
export function continueRecord(record: RecordLine, next: RecordLine): RecordLine | null {
  const { continues, ...rows } = next;
  const run = record["run"] as { readonly runId?: unknown } | null | undefined;
  if (continues === undefined || run?.runId !== continues) return null;
  const both = { ...record };
  for (const [name, more] of Object.entries(rows)) {
    const before = both[name];
    if (!Array.isArray(before) || !Array.isArray(more)) return null;
    both[name] = before.concat(more);
  }
  return both;
}

/** @throws {InvalidExportError} that names the line and the field, never its value. */
export function decodeBundle(record: RecordLine, line: number): RunBundle {
  const bundle: Record<string, unknown> = { ...record };
  for (const { name, times } of bundleParts) {
    const rows = bundle[name];
    const isList = Array.isArray(rows);
    bundle[name] = isList ? rows.map((row) => withTimes(row, times)) : withTimes(rows, times);
  }
  try {
    return parseBundle(bundle, "bundle");
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidExportError({ line, reason: error.message.replace(/^bundle\.?/, "") });
  }
}

/** Passes if every value can be stored. @throws {InvalidExportError} that names the line and the field. */
export function checkValues(bundle: RunBundle, line: number): void {
  try {
    encodeBundle(bundle);
  } catch (error) {
    if (!(error instanceof CorruptRowError)) throw error;
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    throw new InvalidExportError({ line, reason: `${error.table}: ${reason}` }, { cause: error });
  }
}

/** The row with its times as `Date`. The schema refuses everything else that is wrong. */
function withTimes(row: unknown, times: readonly string[]): unknown {
  if (typeof row !== "object" || row === null || Array.isArray(row)) return row;
  const complete: BundleRow = { ...row };
  for (const property of times) {
    const time = complete[property];
    if (typeof time === "string" && isTime(time)) complete[property] = new Date(time);
  }
  return complete;
}

/** Kept, because creating it takes two hundred times as long as using it. */
const timeSchema = z.iso.datetime({ offset: true });

/** True for ISO 8601 with a zone: anything else would be guessed, or read in the local zone. */
function isTime(text: string): boolean {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return false;
  // `toISOString` writes years beyond 9999 in a form that the schema does not know.
  return time.toISOString() === text || timeSchema.safeParse(text).success;
}
